"""Routes that store what a client sends: as MONAI Label's own, but what cannot be used is refused first.

MONAI Label would store a file and then fail at its parameters, and take any file for a label. It also keeps the whole
server waiting while a file is stored, which is slow with an archive; these routes run in threads.
"""

from __future__ import annotations

import shutil
from pathlib import Path, PureWindowsPath
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, File, Form, HTTPException, UploadFile
from monailabel.config import settings
from monailabel.endpoints import datastore
from monailabel.endpoints.user.auth import RBAC, User
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import DefaultLabelTag

from label.images.image_names import IMAGE_ENDINGS, LABEL_ENDINGS, ending_of, plain_ending, refused
from label.images.submissions import read_submission
from label.server.request_parameters import parsed_object
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_radiograph

__all__ = ["datastore_router"]

Text = Annotated[str, Form()]


def datastore_router(app: MONAILabelApp) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix=f"{settings.MONAI_LABEL_API_STR}/datastore", tags=["Datastore"])
    annotator = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_ANNOTATOR))

    def put_image(
        file: Annotated[UploadFile, File()],
        image: str | None = None,
        params: Text = "{}",
        asking: User = annotator,
    ) -> Any:
        """Add an image."""
        about = parsed_object(params) | ({"user": asking.username} if asking.username else {})
        name = PureWindowsPath(file.filename or "").name
        with TemporaryDirectory(prefix="chexmask-u-") as folder:
            path = Path(folder) / f"radiograph{plain_ending(name)}"
            with path.open("wb") as copy:
                shutil.copyfileobj(file.file, copy)
            image_id = image or name.removesuffix(ending_of(name, IMAGE_ENDINGS))
            return {"image": app.datastore().add_image(image_id, str(path), about)}

    def put_label(
        image: str,
        label: Annotated[UploadFile, File()],
        tag: str = DefaultLabelTag.FINAL.value,
        params: Text = "{}",
        asking: User = annotator,
    ) -> Any:
        """Save a label of an image; a final one must be readable as one."""
        about = parsed_object(params) | ({"user": asking.username} if asking.username else {})
        if not ending_of(label.filename or "", LABEL_ENDINGS):  # others may name files of the server
            raise refused(f"a label is one of {', '.join(LABEL_ENDINGS)}; its name must end so")
        store = app.datastore()
        with TemporaryDirectory(prefix="chexmask-u-") as folder:
            path = Path(folder) / f"label{plain_ending(label.filename or '', LABEL_ENDINGS)}"
            with path.open("wb") as copy:
                shutil.copyfileobj(label.file, copy)
            if tag == DefaultLabelTag.FINAL:
                _check_label(path, Path(store.get_image_uri(image)), about)
            label_id = store.save_label(image, str(path), tag, about)
        return {**(app.on_save_label(image, label_id) or {}), "image": image, "label": label_id}

    def put_image_info(image: str, info: Text = "{}", asking: User = annotator) -> Any:
        """Note something of an image."""
        parsed_object(info)
        return datastore.update_image_info(image, info, asking.username)

    def put_label_info(label: str, tag: str, info: Text = "{}", asking: User = annotator) -> Any:
        """Note something of a label."""
        parsed_object(info)
        return datastore.update_label_info(label, tag, info, asking.username)

    def dataset(tasks: BackgroundTasks, limit_cases: int | None = None, asking: User = annotator) -> Any:
        """Return labeled images and their labels as a ZIP file, which is removed afterwards."""
        if not datastore.datastore(datastore.ResultType.train):
            raise HTTPException(404, "no image has a final label yet")
        answer = datastore.download_dataset(limit_cases)
        tasks.add_task(Path(answer.path).unlink)
        return answer

    for path in ("/image", "/"):  # the second is the one that 3D Slicer asks
        router.add_api_route(path, put_image, methods=["PUT"])
    router.add_api_route("/label", put_label, methods=["PUT"])
    router.add_api_route("/image/info", put_image_info, methods=["PUT"])
    router.add_api_route("/label/info", put_label_info, methods=["PUT"])
    router.add_api_route("/dataset", dataset, methods=["GET"])
    return router


def _check_label(path: Path, image: Path, about: dict[str, Any]) -> None:
    """Refuse a label that no training could use.

    Raises:
        HTTPException: 400 if it cannot be read, or is none of that image.
        RadiographError: if the image cannot be used.
    """
    try:
        read_submission(path, read_radiograph(image), about)
    except RadiographError:
        raise
    except ValueError as error:
        raise HTTPException(400, str(error).replace(f"{path.parent}/", "")) from error
