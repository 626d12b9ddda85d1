"""What the app adds to MONAI Label's server: its routes, answers to errors, limits, and checks of requests.

MONAI Label answers a mistake of a user with a bare 500.
"""

from __future__ import annotations

import json
import logging
import shutil
import tarfile

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException, MONAILabelException
from starlette.middleware import Middleware

from label.server.datastore_routes import datastore_router
from label.server.hosts_and_origins import guard
from label.server.infer_routes import Segment, infer_router
from label.server.replaced_routes import logs_router, model_router, no_archive_router
from label.server.session_routes import session_router
from label.server.task_routes import task_router
from label.server.upload_limit import UploadLimit
from label.tasks.task_names import UnknownNameError
from monai_chexmask_u.archive.failures import ArchiveError
from monai_chexmask_u.networks.checkpoints import CheckpointError
from monai_chexmask_u.radiograph import RadiographError

__all__ = ["extend"]

logger = logging.getLogger(__name__)


def extend(server: FastAPI, app: MONAILabelApp, segment: Segment) -> None:
    """Add all of it.

    Args:
        server: is not answering requests yet.
        app: whose server it is.
        segment: segments a radiograph with the model in use.
    """
    mistakes = (MONAILabelException, RadiographError, json.JSONDecodeError, shutil.ReadError, tarfile.TarError)
    for error in (*mistakes, ArchiveError):
        server.add_exception_handler(error, _answer)
    for error in (CheckpointError, Exception):
        server.add_exception_handler(error, _failed)
    # Of archives that are unpacked for sessions, nothing may land elsewhere (PEP 706).
    if hasattr(tarfile, "data_filter"):  # in the security releases of Python from 2023 on
        tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    routers = [infer_router(app, segment), task_router(app), model_router()]
    routers += [datastore_router(app), session_router(app)]
    if app.studies.startswith(("http://", "https://")):
        from label.images.dicomweb_settings import archive_of
        from label.server.dicomweb_proxy import make_router

        routers.append(make_router(archive_of(app.studies, app.conf)))
    else:
        routers.append(no_archive_router())
    from label.server import ohif

    routers += [ohif.router, logs_router()]
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
    """Say that it is not the user's mistake; the log has the details."""
    if isinstance(error, CheckpointError):
        logger.error("%s: %s", request.url.path, error)
        return JSONResponse({"detail": "the server has no model that it can use; its log says why"}, 503)
    return JSONResponse({"detail": f"the server failed at this ({type(error).__name__}); its log says where"}, 500)
