"""Routes of sessions: as MONAI Label's own, on `RadiographSessions`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, HTTPException, UploadFile
from fastapi.responses import FileResponse
from monailabel.config import settings
from monailabel.endpoints.user.auth import RBAC
from monailabel.interfaces.app import MONAILabelApp

from label.images.sessions import RadiographSessions, public_notes

__all__ = ["session_router"]


def session_router(app: MONAILabelApp) -> APIRouter:
    """Return the routes."""
    user = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER))
    router = APIRouter(prefix=f"{settings.MONAI_LABEL_API_STR}/session", tags=["Session"], dependencies=[user])

    def sessions() -> RadiographSessions:
        found: RadiographSessions | None = app.sessions()
        if found is None:
            raise HTTPException(406, "sessions are switched off on this server")
        return found

    def create(files: Annotated[list[UploadFile], File()], uncompress: bool = False, expiry: int = 0) -> Any:
        """Keep radiographs for a while."""
        sent = [(file.filename or "", file.file) for file in files]
        try:
            info = sessions().add(sent, expiry=expiry, uncompress=uncompress)
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        return {"session_id": info.name, "session_info": public_notes(info)}

    def get(session_id: str, update_ts: bool = False, image: bool = False) -> Any:
        """Tell of a session, or return its radiograph."""
        info = sessions().get_session(session_id, update_ts=update_ts)
        if info is None:
            raise HTTPException(404, "there is no such session; it may have ended")
        if image:
            if not Path(info.image).is_file():
                raise HTTPException(400, "this session holds several files, or none")
            return FileResponse(info.image, filename=Path(info.image).name)
        return public_notes(info)

    def remove(session_id: str) -> Any:
        """End a session."""
        info = sessions().get_session(session_id, update_ts=False)
        if info is None:
            raise HTTPException(404, "there is no such session; it may have ended")
        sessions().remove_session(session_id)
        return public_notes(info)

    router.add_api_route("/", create, methods=["PUT"])
    router.add_api_route("/{session_id}", get, methods=["GET"])
    router.add_api_route("/{session_id}", remove, methods=["DELETE"])
    return router
