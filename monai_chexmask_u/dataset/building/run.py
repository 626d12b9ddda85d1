"""One build from its options to its finished folder."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from monai_chexmask_u.dataset.building.listing import list_radiographs
from monai_chexmask_u.dataset.building.local_engine import run_local
from monai_chexmask_u.dataset.building.shards import build_settings, build_shards, claim_folder, pending_radiographs
from monai_chexmask_u.dataset.building.work import Chunk, Finished, Recipe
from monai_chexmask_u.dataset.folder import DatasetError, Manifest, Shard
from monai_chexmask_u.dataset.sources import Source, source_called
from monai_chexmask_u.files.atomic import prepare_folder
from monai_chexmask_u.model import load_model
from monai_chexmask_u.segmenter import Segmenter

if TYPE_CHECKING:
    from monai_chexmask_u.dataset.rca.rating import ReferenceSet

__all__ = ["BuildOptions", "Observer", "build_dataset"]


@dataclass(frozen=True)
class BuildOptions:
    """What to build, and with what means.

    Attributes:
        images: a folder, list, table or archive of radiographs; see
            `monai_chexmask_u.dataset.building.listing.list_radiographs`.
        output: folder of the data set.
        source: name of a public data set, whose layout, ids and preprocessing are then those of the radiographs.
        id_column: of a table, that names the radiographs.
        path_column: of a table, that says where they are.
        model: bundle folder or weights file; the shipped one by default.
        samples: latent samples per radiograph.
        seed: of the data set; each radiograph's own derives from it and the radiograph's id.
        crop_border: leave out the black border; None for what the source's preprocessing did.
        masks: write masks.
        rca: radiographs with landmarks to rate against, or None.
        retry_failed: do shards with failures again.
        films_per_shard: radiographs of a shard.
        batch_size: radiographs that are handed on, or pass a GPU, together; no row depends on it.
        workers: processes of the local engine.
        device: where the network runs.
        engine: ``local`` or ``ray``.
        ray_address: of a cluster; None starts Ray on this machine.
        ray_cpus: CPUs of a process that decodes or completes; a part of one is fine.
        ray_gpus: GPUs of a process with the network.
    """

    images: Path
    output: Path
    source: str | None = None
    id_column: str | None = None
    path_column: str | None = None
    model: Path | None = None
    samples: int = 50
    seed: int = 0
    crop_border: bool | None = None
    masks: bool = True
    rca: Path | None = None
    retry_failed: bool = False
    films_per_shard: int = 2000
    batch_size: int = 16
    workers: int = 1
    device: str = "auto"
    engine: str = "local"
    ray_address: str | None = None
    ray_cpus: float = 1.0
    ray_gpus: float = 1.0


class Observer(Protocol):
    """What a build calls as it proceeds."""

    def listed(self, radiographs: int, left_out: Mapping[str, int], notes: Sequence[str]) -> None:
        """Take note of how many radiographs there are, what was left out and why, and what else is to be known."""

    def started(self, manifest: Manifest) -> None:
        """Take note of what is done already."""

    def chunk_done(self, chunk: Finished) -> None:
        """Take note of radiographs that are done."""

    def shard_done(self, shard: Shard) -> None:
        """Take note of a shard that counts."""


def build_dataset(options: BuildOptions, observer: Observer) -> Manifest:
    """Build a data set, or continue one that was begun.

    Args:
        options: what to build.
        observer: called as the build proceeds.

    Returns:
        The manifest of the finished data set.

    Raises:
        ValueError: if an option cannot be used, there is no radiograph, or the folder holds something else.
        OSError: if something cannot be read or written; what is finished stays, and the build can continue.
    """
    _check(options)
    source = source_called(options.source) if options.source else None
    listing = list_radiographs(
        options.images, source=source, id_column=options.id_column, path_column=options.path_column
    )
    observer.listed(len(listing.radiographs), listing.left_out, listing.notes)
    if not listing.radiographs:
        raise DatasetError(f"{options.images}: no radiograph found")
    segmenter = Segmenter(load_model(options.model), num_samples=options.samples, device=options.device)
    references = _references(options.rca, segmenter) if options.rca else None
    prepare_folder(options.output)
    recipe = _recipe(options, source, segmenter)
    settings = build_settings(
        recipe,
        listing.radiographs,
        segmenter.identity,
        films_per_shard=options.films_per_shard,
        rca=references.settings if references else None,
    )
    with claim_folder(
        options.output, settings, len(listing.radiographs), retry_failed=options.retry_failed
    ) as manifest:
        observer.started(manifest)
        return build_shards(
            options.output,
            manifest,
            pending_radiographs(listing.radiographs, manifest),
            _engine(options, recipe, references),
            batch_size=options.batch_size,
            progress=partial(_chunk_done, options.images, observer),
            shard_done=observer.shard_done,
        )


def _check(options: BuildOptions) -> None:
    if options.engine not in ("local", "ray"):
        raise ValueError(f"there is no engine {options.engine!r}; known are local and ray")
    output = options.output.resolve()
    if options.images.resolve() in (output, *output.parents):
        raise ValueError(
            f"{options.output}: lies among the radiographs, and would be one of them; choose another with -o"
        )


def _recipe(options: BuildOptions, source: Source | None, segmenter: Segmenter) -> Recipe:
    by_source = source is not None and source.crop_border
    return Recipe(
        segmenter.network.image_size,
        options.model,
        options.samples,
        options.seed,
        by_source if options.crop_border is None else options.crop_border,
        source.title if source else None,
        options.masks,
        str(segmenter.device),
    )


def _chunk_done(images: Path, observer: Observer, chunk: Finished) -> None:
    """Tell the observer of a chunk, unless its radiographs are missing because all of them are.

    Raises:
        OSError: if the radiographs are no longer where they were, as when a network share has gone.
    """
    if "not_found" in chunk.failures["code"].to_pylist() and not images.exists():
        raise OSError(errno.ENOENT, "the radiographs are no longer there", str(images))
    observer.chunk_done(chunk)


def _references(folder: Path, segmenter: Segmenter) -> ReferenceSet:
    from monai_chexmask_u.dataset.rca.rating import load_references  # of another extra

    return load_references(folder, segmenter)


def _engine(
    options: BuildOptions, recipe: Recipe, references: ReferenceSet | None
) -> Callable[[Iterable[Chunk]], Iterator[Finished]]:
    if options.engine == "local":
        return partial(run_local, recipe, workers=options.workers, references=references)
    from monai_chexmask_u.dataset.building.ray_engine import run_ray  # of another extra

    return partial(
        run_ray,
        recipe,
        references=references,
        address=options.ray_address,
        cpus=options.ray_cpus,
        gpus=options.ray_gpus,
    )
