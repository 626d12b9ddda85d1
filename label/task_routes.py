"""Routes that start tasks: as MONAI Label's own, but a name that nothing has is refused at once.

MONAI Label would start a process that fails, and answer that all is well. It also keeps the whole server waiting while
a task runs that was asked for with `run_sync`; these routes run in threads.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends
from monailabel.config import settings
from monailabel.endpoints import activelearning, batch_infer, scoring, train
from monailabel.endpoints.user.auth import RBAC, User
from monailabel.interfaces.tasks.batch_infer import BatchInferImageType

from label.app import ChestLandmarksApp

__all__ = ["task_router"]

Params = Annotated[dict[str, Any] | None, Body()]
Asking = Annotated[User, Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER))]


def task_router(app: ChestLandmarksApp) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix=settings.MONAI_LABEL_API_STR)
    annotator = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_ANNOTATOR))
    admin = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_ADMIN))

    def run_training(model: str, params: Params = None, run_sync: bool = False, enqueue: bool = False) -> Any:
        """Train a model on what was submitted."""
        app.check_name("trainer", model)
        return train.run_model(model, params, run_sync, enqueue)

    def run_scoring(method: str, params: Params = None, run_sync: bool = False) -> Any:
        """Score the images that nobody has annotated."""
        app.check_name("scoring method", method)
        return scoring.run_method(method, params, run_sync)

    def run_batch(
        model: str,
        images: BatchInferImageType = BatchInferImageType.IMAGES_ALL,
        params: Params = None,
        run_sync: bool = False,
    ) -> Any:
        """Segment many images and keep the results as labels."""
        app.check_name("model", model)
        return batch_infer.run(model, images, params, run_sync)

    def choose(strategy: str, asking: Asking, params: Params = None) -> Any:
        """Choose the image to annotate next."""
        app.check_name("strategy", strategy)
        return activelearning.sample(strategy, params, asking.username)

    router.add_api_route("/train/{model}", run_training, methods=["POST"], tags=["Train"], dependencies=[admin])
    router.add_api_route("/scoring/{method}", run_scoring, methods=["POST"], tags=["Scoring"], dependencies=[annotator])
    router.add_api_route("/batch/infer/{model}", run_batch, methods=["POST"], tags=["Infer"], dependencies=[admin])
    router.add_api_route("/activelearning/{strategy}", choose, methods=["POST"], tags=["ActiveLearning"])
    return router
