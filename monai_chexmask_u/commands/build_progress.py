"""What a build says while it runs and when it is done: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from monai_chexmask_u.commands.console import err, out, progress_bar

if TYPE_CHECKING:
    from monai_chexmask_u.dataset.building.work import Finished
    from monai_chexmask_u.dataset.folder import Manifest, Shard

__all__ = ["BuildProgress"]


class BuildProgress:
    """The observer of a build that tells people about it; a context manager around the build."""

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
        """Say where it goes on."""
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
        return (
            f"{self.kept_rows} of {self.radiographs} radiographs are kept, and the same command goes on with the others"
        )

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
