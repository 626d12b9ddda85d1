"""What the OHIF viewer asks of the archive, passed on with the server's credentials.

MONAI Label's own proxy drops the query of a request, so that a viewer that asks for one patient's studies gets those of
all patients, keeps the whole server waiting for the archive, and answers with an error page if it is away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from monailabel.config import settings
from monailabel.endpoints.user.auth import RBAC

from monai_chexmask_u.archive.failures import ArchiveError
from monai_chexmask_u.archive.passing_on import Passed, pass_on
from monai_chexmask_u.archive.settings import DicomwebArchive

__all__ = ["make_router"]

_SERVICES: Final = ("wado", "qido", "stow")  # OHIF asks each of them at a path of its own
_TOLD: Final = ("accept", "content-type")
_ANSWERED: Final = ("content-type", "content-location", "link")


def make_router(archive: DicomwebArchive) -> APIRouter:
    """Return the routes of the proxy for an archive."""
    user = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER))
    router = APIRouter(prefix="/proxy", tags=["Others"], dependencies=[user])

    async def proxy(path: str, request: Request) -> Response:
        """Pass a request on."""
        body = await request.body()
        try:
            passed = await run_in_threadpool(
                pass_on,
                archive,
                method=request.method,
                path=_without_service(path),
                query=request.url.query,
                headers=_chosen(request.headers, _TOLD),
                body=body,
            )
        except ArchiveError as error:
            return JSONResponse({"detail": str(error)}, status_code=502)
        return _answer(passed)

    router.add_api_route("/dicom/{path:path}", proxy, methods=["GET", "POST"], include_in_schema=False)
    return router


def _without_service(path: str) -> str:
    service, _, rest = path.partition("/")
    return rest if service in _SERVICES else path


def _chosen(headers: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}


def _answer(passed: Passed) -> Response:
    return Response(passed.content, passed.status, _chosen(passed.headers, _ANSWERED))
