"""Routes that start tasks: as MONAI Label's own, but a name that nothing has is refused at once.

MONAI Label would start a process that fails, and answer that all is well. It also keeps the whole server waiting while
a task runs that was asked for with `run_sync`; these routes run in threads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, HTTPException
from monailabel.config import settings
from monailabel.endpoints import activelearning, batch_infer, scoring, train
from monailabel.endpoints.user.auth import RBAC, User
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.batch_infer import BatchInferImageType

from label.tasks.task_names import check_name

__all__ = ["task_router"]

# A process that works on a request would look for programs in a folder of this name.
REFUSED: Final = ("bundle_path",)
GPUS: Final = re.compile(r"(?:all)?|[0-9]{1,3}(?:,[0-9]{1,3})*")
MAX_LETTERS: Final = 65536
"""Of a request's parameters, which a process gets on its command line."""

Params = Annotated[dict[str, Any] | None, Body()]
Asking = Annotated[User, Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER))]


def task_router(app: MONAILabelApp) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix=settings.MONAI_LABEL_API_STR)
    annotator = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_ANNOTATOR))
    admin = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_ADMIN))

    def run_training(model: str, params: Params = None, run_sync: bool = False, enqueue: bool = False) -> Any:
        """Train a model on what was submitted."""
        check_name(app, "trainer", model)
        _check(params)
        return train.run_model(model, params, run_sync, enqueue)

    def run_all_trainings(params: Params = None, run_sync: bool = False) -> Any:
        """Train every model, with parameters for each."""
        _check(params)
        return train.run(params, run_sync)

    def run_all_scorings(params: Params = None, run_sync: bool = False) -> Any:
        """Score by every method, with parameters for each."""
        _check(params)
        return scoring.run(params, run_sync)

    def run_scoring(method: str, params: Params = None, run_sync: bool = False) -> Any:
        """Score the images that nobody has annotated."""
        check_name(app, "scoring method", method)
        _check(params)
        return scoring.run_method(method, params, run_sync)

    def run_batch(
        model: str,
        images: BatchInferImageType = BatchInferImageType.IMAGES_ALL,
        params: Params = None,
        run_sync: bool = False,
    ) -> Any:
        """Segment many images and keep the results as labels."""
        check_name(app, "model", model)
        _check(params)
        return batch_infer.run(model, images, params, run_sync)

    def choose(strategy: str, asking: Asking, params: Params = None) -> Any:
        """Choose the image to annotate next."""
        check_name(app, "strategy", strategy)
        _check(params)
        return activelearning.sample(strategy, params, asking.username)

    router.add_api_route("/train/{model}", run_training, methods=["POST"], tags=["Train"], dependencies=[admin])
    router.add_api_route("/train/", run_all_trainings, methods=["POST"], dependencies=[admin], include_in_schema=False)
    router.add_api_route(
        "/scoring/", run_all_scorings, methods=["POST"], dependencies=[annotator], include_in_schema=False
    )
    router.add_api_route("/scoring/{method}", run_scoring, methods=["POST"], tags=["Scoring"], dependencies=[annotator])
    router.add_api_route("/batch/infer/{model}", run_batch, methods=["POST"], tags=["Infer"], dependencies=[admin])
    router.add_api_route("/activelearning/{strategy}", choose, methods=["POST"], tags=["ActiveLearning"])
    return router


def _check(params: dict[str, Any] | None) -> None:
    """Refuse parameters that would reach further than the task: the process that does it, or its surroundings.

    Raises:
        HTTPException: 400.
    """
    if len(json.dumps(params)) > MAX_LETTERS:
        raise HTTPException(400, f"params may have {MAX_LETTERS} letters at most")
    for name, value in _entries(params):
        if name in REFUSED:
            raise HTTPException(400, f"params must not have {name!r}")
        if name == "gpus" and not GPUS.fullmatch(str(value or "")):
            raise HTTPException(400, "gpus must be 'all' or numbers with commas between them")


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the entries of an object of JSON and of those in it: a request for all tasks has one for each."""
    if isinstance(value, dict):
        yield from value.items()
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _entries(each)
