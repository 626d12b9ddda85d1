"""Routes that replace those of MONAI Label that would do harm here, or fail."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import PlainTextResponse
from monailabel.config import settings
from monailabel.endpoints.user.auth import RBAC

__all__ = ["logs_router", "model_router", "no_archive_router"]


def model_router() -> APIRouter:
    """Return routes that refuse to change a model's file: versions come from training alone.

    MONAI Label writes what a client sends over the weights in use, whatever it is, and moves them away on request;
    here these may be the shipped ones.
    """
    router = APIRouter(prefix=f"{settings.MONAI_LABEL_API_STR}/model", tags=["Model"])

    def refuse(model: str) -> None:
        """Refuse to replace or delete the weights."""
        raise HTTPException(405, "models are not changed from outside; train one, or start the server with --model")

    router.add_api_route("/{model}", refuse, methods=["PUT", "DELETE"], summary="Refused: models come from training")
    return router


def no_archive_router() -> APIRouter:
    """Return the route that refuses requests to an archive: MONAI Label would ask the folder as if it were one."""
    router = APIRouter(prefix=f"{settings.MONAI_LABEL_API_STR}/proxy")

    def refuse(path: str) -> None:
        """Say that there is no archive."""
        raise HTTPException(404, "the studies are a folder; there is no archive behind this server")

    router.add_api_route("/{path:path}", refuse, methods=["GET", "POST"], include_in_schema=False)
    return router


def logs_router() -> APIRouter:
    """Return the route that describes the GPU; MONAI Label's own fails without one."""
    admin = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_ADMIN))
    router = APIRouter(prefix=f"{settings.MONAI_LABEL_API_STR}/logs", tags=["Others"], dependencies=[admin])

    def describe() -> Any:
        """Return what `nvidia-smi` says."""
        program = shutil.which("nvidia-smi")
        if program is None:
            raise HTTPException(404, "this server has no GPU, or no nvidia-smi")
        done = subprocess.run([program], capture_output=True, text=True, timeout=60)
        return PlainTextResponse(done.stdout)

    router.add_api_route("/gpu", describe, methods=["GET"], summary="Get GPU Info (nvidia-smi)")
    return router
