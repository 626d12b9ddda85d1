"""What the server answers otherwise than MONAI Label where it works on a DICOMweb archive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, File, Form, Request, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from monailabel.config import settings
from monailabel.endpoints.infer import ResultType, run_inference
from monailabel.endpoints.user.auth import RBAC

from label import ohif
from label.dicom_results import DICOM_OUTPUTS, SegmentingApp, dicom_result
from label.dicomweb_proxy import make_router
from monai_chexmask_u.dicom.archive.failures import ArchiveError, TryLater
from monai_chexmask_u.dicom.archive.settings import DicomwebArchive

__all__ = ["add_dicomweb_routes"]


def add_dicomweb_routes(server: FastAPI, archive: DicomwebArchive, app: Callable[[], SegmentingApp]) -> None:
    """Add the viewer, the viewer's way to the archive, results as DICOM objects, and words for an archive's failures.

    They come before routes of the same paths. Call it before the server starts.

    Args:
        server: of MONAI Label.
        archive: that the server works on.
        app: returns the app, which is there once the server has started.
    """
    for router in (ohif.router, make_router(archive), _infer_router(app)):
        server.router.routes[:0] = router.routes
    server.add_exception_handler(ArchiveError, _tell)


def _infer_router(app: Callable[[], SegmentingApp]) -> APIRouter:
    user = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER))
    router = APIRouter(prefix="/infer", tags=["Infer"], dependencies=[user])

    async def infer(
        background_tasks: BackgroundTasks,
        model: str,
        image: str = "",
        session_id: str = "",
        params: str = Form("{}"),
        file: UploadFile | None = File(None),  # noqa: B008 (FastAPI's way to say where an argument comes from)
        label: UploadFile | None = File(None),  # noqa: B008
        output: str | None = None,
    ) -> Any:
        """Run a model; DICOM objects of a result are made here, everything else by MONAI Label."""
        if output in DICOM_OUTPUTS and image:
            return await run_in_threadpool(dicom_result, app(), model, image, output, background_tasks)
        kind = ResultType(output) if output in {each.value for each in ResultType} else None
        return await run_in_threadpool(
            run_inference, background_tasks, model, image, session_id, params, file, label, kind
        )

    router.add_api_route("/{model}", infer, methods=["POST"], summary="Run Inference for supported model")
    return router


async def _tell(request: Request, error: Exception) -> Response:
    """Answer with what went wrong at the archive, and whether it may pass."""
    return JSONResponse({"detail": str(error)}, status_code=503 if isinstance(error, TryLater) else 502)
