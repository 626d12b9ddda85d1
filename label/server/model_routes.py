"""Routes that would change a model's file, refused: versions come from training alone.

MONAI Label writes what a client sends over the weights in use, whatever it is, and moves them away on request; here
these may be the shipped ones.
"""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from monailabel.config import settings

__all__ = ["model_router"]


def model_router() -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix=f"{settings.MONAI_LABEL_API_STR}/model", tags=["Model"])

    def refuse(model: str) -> None:
        """Refuse to replace or delete the weights."""
        raise HTTPException(405, "models are not changed from outside; train one, or start the server with --model")

    router.add_api_route("/{model}", refuse, methods=["PUT", "DELETE"], summary="Refused: models come from training")
    return router
