"""What the app adds to MONAI Label's server: answers to errors, limits, and `/infer` itself.

MONAI Label answers a mistake of a user with a bare 500, keeps the whole server waiting while a film is segmented, and
lets a client name any file of the server as the image.
"""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, File, Form, HTTPException, Request, UploadFile
from fastapi.responses import JSONResponse
from monailabel.config import settings
from monailabel.endpoints.infer import send_response
from monailabel.endpoints.user.auth import RBAC
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException, MONAILabelException
from monailabel.utils.others.generic import remove_file

from label.app import ChestLandmarksApp, UnknownNameError
from label.dicom_results import DICOM_OUTPUTS, dicom_result
from label.model_routes import model_router
from label.task_routes import task_router
from label.upload_limit import UploadLimit
from monai_chexmask_u.dicom.archive.failures import ArchiveError
from monai_chexmask_u.radiograph import RadiographError

__all__ = ["extend"]

logger = logging.getLogger(__name__)

# A client may not set these in `params`: they would name files of the server.
RESERVED = ("image", "label", "model", "session")
OUTPUTS = ("image", "json", "all", *DICOM_OUTPUTS)


def extend(server: FastAPI, app: ChestLandmarksApp) -> None:
    """Add all of it; the server is not answering requests yet."""
    for error in (MONAILabelException, RadiographError, ArchiveError, json.JSONDecodeError):
        server.add_exception_handler(error, _answer)
    routers = [_infer_router(app), task_router(app), model_router()]
    if app.studies.startswith(("http://", "https://")):
        from label.dicomweb_proxy import make_router
        from label.dicomweb_settings import archive_of

        routers.append(make_router(archive_of(app.studies, app.conf)))
    from label import ohif

    routers.append(ohif.router)
    for router in routers:
        server.router.routes[:0] = router.routes  # before MONAI Label's own of that path
    server.middleware_stack = None  # was built before the app was loaded; the next request builds it again
    server.add_middleware(UploadLimit)


def _answer(request: Request, error: Exception) -> JSONResponse:
    """Say what is wrong in one sentence."""
    logger.warning("%s: %s", request.url.path, type(error).__name__)
    if isinstance(error, json.JSONDecodeError):
        return JSONResponse({"detail": f"the parameters are no JSON: {error.msg} at character {error.pos}"}, 400)
    if isinstance(error, MONAILabelException):
        missing = isinstance(error, (ImageNotFoundException, LabelNotFoundException, UnknownNameError))
        return JSONResponse({"detail": error.msg}, 404 if missing else 400)
    if isinstance(error, ArchiveError):
        return JSONResponse({"detail": str(error)}, 502)
    return JSONResponse({"detail": str(error), "code": getattr(error, "code", "error")}, 400)


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
        request = {**_parsed(params), "model": model, "image": _image(app, image, session_id, file, tasks)}
        if output in DICOM_OUTPUTS:
            return dicom_result(app, image, output, tasks)
        result = app.infer(request)
        if not request.get("save_label"):
            tasks.add_task(remove_file, result["file"] and str(Path(result["file"]).parent))
        return send_response(app.datastore(), result, output, BackgroundTasks())

    router.add_api_route("/{model}", run_inference, methods=["POST"], summary="Run Inference for supported model")
    return router


def _parsed(params: str) -> dict[str, Any]:
    """Return the parameters of a request."""
    parsed = json.loads(params or "{}")
    if not isinstance(parsed, dict):
        raise HTTPException(400, "params must be a JSON object")
    named = [key for key in RESERVED if key in parsed]
    if named:
        raise HTTPException(400, f"params must not have {named[0]!r}; name it in the address or send it as a file")
    return parsed


def _image(app: ChestLandmarksApp, image: str, session_id: str, file: UploadFile | None, tasks: BackgroundTasks) -> str:
    """Return the image's id, or the path of what was sent.

    Raises:
        HTTPException: if there is none.
    """
    if file is not None:
        folder = Path(mkdtemp(prefix="chexmask-u-"))
        tasks.add_task(remove_file, str(folder))
        path = folder / f"upload{Path(file.filename or '').suffix[:10]}"
        with path.open("wb") as copy:
            shutil.copyfileobj(file.file, copy)
        return str(path)
    if session_id:
        sessions = app.sessions()
        session = sessions.get_session(session_id) if sessions else None
        if session is None:
            raise HTTPException(404, "there is no such session; it may have ended")
        return str(session.image)
    if not image:
        raise HTTPException(400, "give an image's id, or send a file")
    app.datastore().get_image_uri(image)  # raises where it is unknown; a path of the server is
    return image
