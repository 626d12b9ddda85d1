"""What the app adds to MONAI Label's server: answers to errors, limits, and `/infer` itself.

MONAI Label answers a mistake of a user with a bare 500, keeps the whole server waiting while a radiograph is segmented,
and lets a client name any file of the server as the image.
"""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, File, Form, HTTPException, Request, UploadFile
from fastapi.responses import JSONResponse, PlainTextResponse
from monailabel.config import settings
from monailabel.endpoints.infer import send_response
from monailabel.endpoints.user.auth import RBAC
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException, MONAILabelException
from starlette.middleware import Middleware

from label.app import ChestLandmarksApp, UnknownNameError
from label.images.image_names import plain_ending
from label.server.datastore_routes import datastore_router
from label.server.dicom_results import DICOM_OUTPUTS, dicom_result
from label.server.guarding import guard
from label.server.model_routes import model_router
from label.server.request_parameters import parsed_object
from label.server.session_routes import session_router
from label.server.task_routes import task_router
from label.server.upload_limit import UploadLimit
from label.tasks.infer import remove_result
from monai_chexmask_u.archive.failures import ArchiveError
from monai_chexmask_u.networks.checkpoints import CheckpointError
from monai_chexmask_u.radiograph import RadiographError

__all__ = ["extend"]

logger = logging.getLogger(__name__)

# A client may not set these in `params`: they would name files of the server.
RESERVED = ("image", "label", "model", "session")
OUTPUTS = ("image", "json", "all", *DICOM_OUTPUTS)


def extend(server: FastAPI, app: ChestLandmarksApp) -> None:
    """Add all of it; the server is not answering requests yet."""
    mistakes = (MONAILabelException, RadiographError, json.JSONDecodeError, shutil.ReadError, tarfile.TarError)
    for error in (*mistakes, ArchiveError):
        server.add_exception_handler(error, _answer)
    for error in (CheckpointError, Exception):
        server.add_exception_handler(error, _failed)
    # Of archives that are unpacked for sessions, nothing may land elsewhere (PEP 706).
    if hasattr(tarfile, "data_filter"):  # in the security releases of Python from 2023 on
        tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    routers = [_infer_router(app), task_router(app), model_router(), datastore_router(app), session_router(app)]
    if app.studies.startswith(("http://", "https://")):
        from label.images.dicomweb_settings import archive_of
        from label.server.dicomweb_proxy import make_router

        routers.append(make_router(archive_of(app.studies, app.conf)))
    else:
        routers.append(_no_archive_router())
    from label.server import ohif

    routers += [ohif.router, _logs_router()]
    for router in routers:
        server.router.routes[:0] = router.routes  # before MONAI Label's own of that path
    server.user_middleware[:] = [each for each in server.user_middleware if each.cls is not UploadLimit]
    server.user_middleware.insert(0, Middleware(UploadLimit))
    guard(server, app.conf)  # before all of it; the stack was built before the app was loaded, and is built again


def _answer(request: Request, error: Exception) -> JSONResponse:
    """Say what is wrong in one sentence."""
    logger.warning("%s: %s", request.url.path, type(error).__name__)
    if isinstance(error, json.JSONDecodeError):
        return JSONResponse({"detail": f"the parameters are no JSON: {error.msg} at character {error.pos}"}, 400)
    if isinstance(error, (shutil.ReadError, tarfile.TarError)):
        return JSONResponse(
            {"detail": "the file cannot be unpacked; send a ZIP archive, or the radiograph itself"}, 400
        )
    if isinstance(error, MONAILabelException):
        missing = isinstance(error, (ImageNotFoundException, LabelNotFoundException, UnknownNameError))
        return JSONResponse({"detail": error.msg}, 404 if missing else 400)
    if isinstance(error, ArchiveError):
        return JSONResponse({"detail": str(error)}, 502)
    return JSONResponse({"detail": str(error), "code": getattr(error, "code", "error")}, 400)


def _failed(request: Request, error: Exception) -> JSONResponse:
    """Say that it is not the user's mistake; what it is stands in the log."""
    if isinstance(error, CheckpointError):
        logger.error("%s: %s", request.url.path, error)
        return JSONResponse({"detail": "the server has no model that it can use; its log says why"}, 503)
    return JSONResponse({"detail": f"the server failed at this ({type(error).__name__}); its log says where"}, 500)


def _infer_router(app: ChestLandmarksApp) -> APIRouter:
    """Return the route of `/infer`, which runs in a thread, so that the server answers others meanwhile."""
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
        app.check_name("model", model)
        parsed = parsed_object(params)
        named = [key for key in RESERVED if key in parsed]
        if named:
            raise HTTPException(400, f"params must not have {named[0]!r}; name it in the address or send it as a file")
        with _image(app, image, session_id, file) as wanted:
            if output in DICOM_OUTPUTS:
                radiograph = wanted if Path(wanted).is_absolute() else app.datastore().get_image_uri(wanted)
                return dicom_result(app, Path(radiograph), output, tasks)
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


def _no_archive_router() -> APIRouter:
    """Return what stands where MONAI Label would ask a folder as if it were an archive."""
    router = APIRouter(prefix=f"{settings.MONAI_LABEL_API_STR}/proxy")

    def refuse(path: str) -> None:
        """Say that there is no archive."""
        raise HTTPException(404, "the studies are a folder; there is no archive behind this server")

    router.add_api_route("/{path:path}", refuse, methods=["GET", "POST"], include_in_schema=False)
    return router


def _logs_router() -> APIRouter:
    """Return what tells of the GPU; without one, MONAI Label fails at it."""
    admin = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_ADMIN))
    router = APIRouter(prefix=f"{settings.MONAI_LABEL_API_STR}/logs", tags=["Others"], dependencies=[admin])

    def tell() -> Any:
        """Return what `nvidia-smi` says."""
        program = shutil.which("nvidia-smi")
        if program is None:
            raise HTTPException(404, "this server has no GPU, or no nvidia-smi")
        done = subprocess.run([program], capture_output=True, text=True, timeout=60)
        return PlainTextResponse(done.stdout)

    router.add_api_route("/gpu", tell, methods=["GET"], summary="Get GPU Info (nvidia-smi)")
    return router


@contextmanager
def _image(app: ChestLandmarksApp, image: str, session_id: str, file: UploadFile | None) -> Iterator[str]:
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
