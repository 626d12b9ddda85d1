"""Routes of `/infer`: as MONAI Label's own, on images of the studies, files that are sent, and those of a session.

MONAI Label lets a client name any file of the server as the image, and keeps the whole server waiting while a
radiograph is segmented. With `output=dicom_seg` or `dicom_sr` the result is a DICOM object: MONAI Label makes a
segmentation of a mask by a program that refuses projections, and has no report.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Annotated, Any, Final

from fastapi import APIRouter, BackgroundTasks, Depends, File, Form, HTTPException, UploadFile
from fastapi.responses import FileResponse
from monailabel.config import settings
from monailabel.endpoints.infer import send_response
from monailabel.endpoints.user.auth import RBAC
from monailabel.interfaces.app import MONAILabelApp
from monailabel.utils.others.generic import remove_file

from label.images.image_names import plain_ending
from label.server.request_parameters import parsed_object
from label.tasks.infer import remove_result
from label.tasks.task_names import check_name
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.dicom.write import write_object
from monai_chexmask_u.networks.checkpoints import CheckpointError
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["Segment", "infer_router"]

Segment = Callable[[Radiograph], LandmarkSegmentation]

# A client may not set these in `params`: they would name files of the server.
RESERVED: Final = ("image", "label", "model", "session")
# By the value of `output`: kind of object, as `write_object` takes it.
DICOM_OUTPUTS: Final = {"dicom_seg": "seg", "dicom_sr": "sr"}
OUTPUTS: Final = ("image", "json", "all", *DICOM_OUTPUTS)


def infer_router(app: MONAILabelApp, segment: Segment) -> APIRouter:
    """Return the routes; they run in threads, so that the server answers others meanwhile.

    Args:
        app: of the server.
        segment: segments a radiograph with the model in use.
    """
    user = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER))
    router = APIRouter(prefix=f"{settings.MONAI_LABEL_API_STR}/infer", tags=["Infer"], dependencies=[user])

    def run_inference(
        tasks: BackgroundTasks,
        model: str,
        image: str = "",
        session_id: str = "",
        params: Annotated[str, Form()] = "{}",
        file: Annotated[UploadFile | None, File()] = None,
        output: str = "all",
    ) -> Any:
        """Segment an image: by its id, sent as a file, or of a session."""
        if output not in OUTPUTS:
            raise HTTPException(400, f"output {output[:40]!r} is not one of {', '.join(OUTPUTS)}")
        check_name(app, "model", model)
        parsed = parsed_object(params)
        named = [key for key in RESERVED if key in parsed]
        if named:
            raise HTTPException(400, f"params must not have {named[0]!r}; name it in the address or send it as a file")
        with _image(app, image, session_id, file) as wanted:
            if output in DICOM_OUTPUTS:
                radiograph = wanted if Path(wanted).is_absolute() else app.datastore().get_image_uri(wanted)
                return _dicom_result(segment, Path(radiograph), output, tasks)
            result = app.infer({**parsed, "model": model, "image": wanted})
        tasks.add_task(remove_result, result["file"])
        return send_response(app.datastore(), result, output, BackgroundTasks())

    def refuse_slides(model: str) -> None:
        """Refuse, before anything is stored."""
        raise HTTPException(400, "radiographs are no whole-slide images; use /infer")

    router.add_api_route("/{model}", run_inference, methods=["POST"], summary="Run Inference for supported model")
    for path in ("/wsi/{model}", "/wsi_v2/{model}"):
        router.add_api_route(path, refuse_slides, methods=["POST"], include_in_schema=False)
    return router


@contextmanager
def _image(app: MONAILabelApp, image: str, session_id: str, file: UploadFile | None) -> Iterator[str]:
    """Give the image's id, or the path of what was sent, which is removed afterwards.

    Raises:
        HTTPException: if there is none.
        ImageNotFoundException: if the id is unknown; a path of the server is.
    """
    if file is not None:
        with TemporaryDirectory(prefix="chexmask-u-") as folder:
            path = Path(folder) / f"upload{plain_ending(file.filename or '')}"
            with path.open("wb") as copy:
                shutil.copyfileobj(file.file, copy)
            yield str(path)
    elif session_id:
        sessions = app.sessions()
        session = sessions.get_session(session_id) if sessions else None
        if session is None:
            raise HTTPException(404, "there is no such session; it may have ended")
        yield str(session.image)
    elif image:
        app.datastore().get_image_uri(image)
        yield image
    else:
        raise HTTPException(400, "give an image's id, or send a file")


def _dicom_result(segment: Segment, image: Path, output: str, tasks: BackgroundTasks) -> FileResponse:
    """Return the result for an image as a DICOM file, the one that the command line writes.

    Args:
        segment: segments a radiograph with the model in use.
        image: the radiograph's file.
        output: key of `DICOM_OUTPUTS`.
        tasks: run after the answer; they remove the file.

    Raises:
        HTTPException: 400 if the image is no DICOM file.
        RadiographError: if it cannot be segmented.
    """
    radiograph = read_radiograph(image)
    folder = Path(mkdtemp(prefix="chexmask-u-"))
    path = folder / f"{output}.dcm"
    try:
        write_object(DICOM_OUTPUTS[output], segment(radiograph), SourceImage(radiograph), path, Numbering())
    except Exception as error:
        remove_file(str(folder))
        if isinstance(error, ValueError) and not isinstance(error, CheckpointError):
            raise HTTPException(status_code=400, detail=f"{output}: {error}") from None
        raise
    tasks.add_task(remove_file, str(folder))
    return FileResponse(path, media_type="application/dicom", filename=path.name)
