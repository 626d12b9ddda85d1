"""The command ``chexmask-u dataset build``; light to import, the work is imported when it starts."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Final

import typer

from monai_chexmask_u.commands.console import EXIT_SOME_FAILED, err, out, progress_bar, require_packages, usage_error

if TYPE_CHECKING:
    from monai_chexmask_u.dataset.building.work import Finished
    from monai_chexmask_u.dataset.folder import Manifest, Shard

__all__ = ["build"]

EXIT_INTERRUPTED: Final = 130


def build(
    images: Annotated[
        Path,
        typer.Option(
            help="Radiographs: a folder, a list of files (.txt), a table (.csv, .parquet), a .zip or .tar; "
            "a folder may hold archives, too.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the data set; one that was begun is continued.")
    ],
    source: Annotated[
        str | None,
        typer.Option(help="The radiographs are from chestx-ray8, chexpert, mimic-cxr-jpg, padchest or vindr-cxr."),
    ] = None,
    id_column: Annotated[str | None, typer.Option(help="Column of a table that names the radiographs.")] = None,
    path_column: Annotated[
        str | None, typer.Option(help="Column of a table that says where the radiographs are.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Bundle folder or weights file; the shipped one by default.")
    ] = None,
    samples: Annotated[int, typer.Option(min=2, help="Latent samples per radiograph.")] = 50,
    seed: Annotated[
        int,
        typer.Option(min=0, max=2**63 - 1, help="Seed; each radiograph's own derives from it and the radiograph's id."),
    ] = 0,
    crop_border: Annotated[
        bool | None,
        typer.Option(
            help="Leave out the black border around the radiograph; by default as the source's preprocessing does."
        ),
    ] = None,
    masks: Annotated[bool, typer.Option(help="Write masks, which follow from the landmarks.")] = True,
    rca: Annotated[
        Path | None,
        typer.Option(help="Radiographs with landmarks, to rate each result by reverse classification accuracy."),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Do the shards again in which radiographs failed.")
    ] = False,
    films_per_shard: Annotated[
        int, typer.Option(min=1, help="Radiographs of a shard; those under way are lost by a stop.")
    ] = 2000,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Radiographs that are handed on, or pass a GPU, together.")
    ] = 16,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; the number of cores by default.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    engine: Annotated[str, typer.Option(help="local, or ray for a cluster.")] = "local",
    ray_address: Annotated[
        str | None, typer.Option(help="Address of a Ray cluster; without one, Ray starts on this machine.")
    ] = None,
    ray_cpus: Annotated[float, typer.Option(min=0.01, help="CPUs, or a part of one, of a process that decodes.")] = 1.0,
    ray_gpus: Annotated[
        float, typer.Option(min=0, help="GPUs, or a part of one, of a process with the network.")
    ] = 1.0,
) -> None:
    """Segment a collection of radiographs into a data set; the same command continues after any kind of stop.

    Ends with 0 if every radiograph has a row, with 1 if some failed (see failures.parquet), with 2 if it could not
    start or continue.
    """
    require_packages("dataset", "filelock", "pyarrow")
    if engine == "ray":
        require_packages("ray", "ray")
    from monai_chexmask_u.dataset.building.run import BuildOptions, build_dataset

    options = BuildOptions(
        images=images,
        output=output,
        source=source,
        id_column=id_column,
        path_column=path_column,
        model=model,
        samples=samples,
        seed=seed,
        crop_border=crop_border,
        masks=masks,
        rca=rca,
        retry_failed=retry_failed,
        films_per_shard=films_per_shard,
        batch_size=batch_size,
        workers=workers or _cores(),
        device=device,
        engine=engine,
        ray_address=ray_address,
        ray_cpus=ray_cpus,
        ray_gpus=ray_gpus,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # of a scheduler or a container, as Ctrl-C of a person
    with BuildProgress() as progress:
        try:
            manifest = build_dataset(options, progress)
        except KeyboardInterrupt as error:
            err.print(f"chexmask-u: stopped; {progress.kept()}")
            raise typer.Exit(EXIT_INTERRUPTED) from error
        except (ValueError, RuntimeError) as error:
            raise usage_error(str(error)) from error
        except OSError as error:
            if not progress.begun:  # nothing is there yet, and the message is the project's own
                raise usage_error(str(error)) from error
            raise usage_error(f"{output}: cannot continue ({error.strerror or error}); {progress.kept()}") from error
    progress.summarize(manifest, output)
    if manifest.failure_count:
        raise typer.Exit(EXIT_SOME_FAILED)


def _cores() -> int:
    """Return how many cores this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class BuildProgress:
    """What a build prints while it runs and when it is done: a bar on a terminal, lines elsewhere."""

    def __init__(self) -> None:
        """Count from zero."""
        self.bar = progress_bar(rate="radiographs/s")
        self.task = self.bar.add_task("segmenting", total=None)
        self.radiographs = self.before = self.done = self.kept_rows = 0
        self.begun = False
        self.verdicts: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.begin = time.monotonic()

    def __enter__(self) -> BuildProgress:
        """Show the bar."""
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        self.bar.stop()

    def listed(self, radiographs: int, left_out: Mapping[str, int], notes: Sequence[str]) -> None:
        """Say what was left out."""
        self.radiographs = radiographs
        for note in notes:
            err.print(f"chexmask-u: {note}")
        for reason, count in left_out.items():
            err.print(f"chexmask-u: {count} left out: {reason}")

    def started(self, manifest: Manifest) -> None:
        """Say where it continues."""
        self.begun = True
        self.before = self.kept_rows = manifest.rows + manifest.failure_count
        if self.before:
            err.print(f"chexmask-u: {self.before} of {self.radiographs} radiographs are done already")
        self.bar.update(self.task, total=self.radiographs, completed=self.before)
        self.begin = time.monotonic()

    def chunk_done(self, chunk: Finished) -> None:
        """Move the bar on."""
        count = len(chunk.rows) + len(chunk.failures)
        self.done += count
        self.bar.advance(self.task, count)
        self.verdicts.update(chunk.rows["verdict"].to_pylist())
        self.failures.update(chunk.failures["code"].to_pylist())

    def shard_done(self, shard: Shard) -> None:
        """Print a line where there is no bar."""
        self.kept_rows += shard.rows + shard.failures
        if self.bar.disable:
            rate = self.done / max(time.monotonic() - self.begin, 1e-9)
            left = timedelta(seconds=round((self.radiographs - self.before - self.done) / rate))
            err.print(
                f"chexmask-u: {self.before + self.done} of {self.radiographs} radiographs, "
                f"{rate:.1f} per second, {left} left"
            )

    def kept(self) -> str:
        """Say what a build that ended early has kept."""
        kept = f"{self.kept_rows} of {self.radiographs} radiographs are kept"
        return f"{kept}, and the same command continues with the others"

    def summarize(self, manifest: Manifest, folder: Path) -> None:
        """Say what there is now: rows, verdicts, failures, speed and size."""
        bytes_ = sum(shard.bytes for shard in manifest.shards)
        shards = "1 shard" if len(manifest.shards) == 1 else f"{len(manifest.shards)} shards"
        out.print(f"{manifest.rows} of {manifest.radiographs} radiographs segmented, {shards} in {folder}")
        if manifest.rows:
            size = f"{bytes_ / 1e6:.1f} MB, {bytes_ / manifest.rows:.0f} bytes a radiograph"
            seconds = time.monotonic() - self.begin
            speed = f"; {self.done} radiographs at {self.done / seconds:.1f} radiographs/s" if self.done else ""
            out.print(size + speed)
        if self.verdicts:
            out.print("verdicts: " + ", ".join(f"{count} {name}" for name, count in sorted(self.verdicts.items())))
        if manifest.failure_count:
            causes = ", ".join(f"{count} {code}" for code, count in self.failures.most_common())
            out.print(f"{manifest.failure_count} failed" + (f": {causes}" if causes else "") + " (failures.parquet)")
