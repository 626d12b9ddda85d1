"""The engine of a cluster: Ray Data maps the steps over chunks, on any number of machines.

The radiographs, and a model that is not the shipped one, must lie at the same path on every machine. What is done comes
back to the process that started the build, which alone writes.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from monai_chexmask_u.dataset.building.local_engine import WorkerPool, all_steps, complete_step, decode_step
from monai_chexmask_u.dataset.building.work import Chunk, Finished, RadiographWork, Recipe

if TYPE_CHECKING:
    from monai_chexmask_u.dataset.rca.rating import ReferenceSet

__all__ = ["run_ray"]

_MOST_BLOCKS: Final = 10_000
_STEPS: Final = {"all": all_steps, "decode": decode_step, "complete": complete_step}


def run_ray(
    recipe: Recipe,
    chunks: Iterable[Chunk],
    *,
    references: ReferenceSet | None = None,
    address: str | None = None,
    cpus: float = 1.0,
    gpus: float = 1.0,
) -> Iterator[Finished]:
    """Work on chunks with actors of Ray Data, divided as `run_local` divides the work between processes.

    Args:
        recipe: what the rows depend on.
        chunks: radiographs.
        references: radiographs to rate against.
        address: of a cluster, ``auto`` for the one that this machine is in; None starts Ray on this machine.
        cpus: CPUs of an actor; a part of one is fine.
        gpus: GPUs of an actor with the network, where it runs on one.

    Yields:
        Finished chunks, in their order.

    Raises:
        RuntimeError: if the cluster cannot be reached or gives up.
    """
    import ray

    items = [{"object": pickle.dumps(chunk)} for chunk in chunks]
    if not items:
        return
    started = not ray.is_initialized()
    try:
        if started:
            _init(address)
        dataset = _mapped(items, recipe, references, cpus, gpus)
        for row in dataset.iter_rows():
            yield pickle.loads(row["object"])
    except (ConnectionError, TimeoutError, socket.gaierror) as error:
        raise RuntimeError(f"no Ray cluster answers at {address}; check --ray-address ({error})") from error
    except ray.exceptions.RayError as error:
        cause = f"Ray gave up ({type(error).__name__}: see its logs)"
        raise RuntimeError(f"{cause}; what is finished is kept, and the same command continues") from error
    finally:
        if started:
            ray.shutdown()


def _mapped(
    items: list[dict[str, bytes]], recipe: Recipe, references: ReferenceSet | None, cpus: float, gpus: float
) -> Any:
    """Return a data set of Ray whose rows, once they are asked for, are the finished chunks."""
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    dataset = ray.data.from_items(items, override_num_blocks=min(len(items), _MOST_BLOCKS))
    resources = {"num_cpus": cpus}
    staged = {"decode": resources, "infer": {**resources, "num_gpus": gpus}, "complete": resources}
    most = max(1, int(ray.cluster_resources().get("CPU", 1) / cpus))
    for step, needed in ({"all": resources} if recipe.device == "cpu" else staged).items():
        pool = ray.data.ActorPoolStrategy(min_size=1, max_size=most)
        dataset = dataset.map(_Actor, fn_constructor_args=(step, recipe, references), compute=pool, **needed)
    return dataset


def _init(address: str | None) -> None:
    """Reach a cluster, or start one here.

    Raises:
        ConnectionError: if nothing answers at the address; Ray itself would try for many minutes.
    """
    import ray

    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing about a hospital's work leaves it
    ray.init(address=address, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)


class _Actor:
    """One step, or all of them, for rows that hold a pickled object each.

    Radiographs are read in a process of their own: one that ends it would end the actor otherwise, again and again.
    """

    def __init__(self, step: str, recipe: Recipe, references: ReferenceSet | None) -> None:
        self.step = step
        self.work = RadiographWork(recipe, references)
        self.pool = WorkerPool(recipe, references, 1)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        item = pickle.loads(row["object"])
        done = self.work.infer(item) if self.step == "infer" else next(self.pool.map(_STEPS[self.step], [item]))
        return {"object": pickle.dumps(done)}
