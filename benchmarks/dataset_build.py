"""What building a data set costs: radiographs/s, bytes a radiograph, memory, beside the published way of building.

``python benchmarks/dataset_build.py IMAGES --part compare`` and the other parts print Markdown tables; see README.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
import pyarrow.parquet as pq
import torch

from benchmarks.published_pipeline import build_published_way
from monai_chexmask_u.dataset.building.radiograph_files import RadiographFile
from monai_chexmask_u.dataset.building.run import BuildOptions, build_dataset
from monai_chexmask_u.dataset.building.work import Chunk, Finished, RadiographWork, Recipe
from monai_chexmask_u.dataset.folder import Manifest, Shard, write_shard
from monai_chexmask_u.model import load_model
from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.checkpoints import write_checkpoint
from monai_chexmask_u.reading import list_inputs

PUBLISHED_RADIOGRAPHS: Final = 657_566
SAMPLES: Final = 50


@dataclass
class Clock:
    """An observer that notes when chunks are done, and how much memory all processes have then."""

    began: float = field(default_factory=time.perf_counter)
    times: list[tuple[float, int]] = field(default_factory=list)

    def listed(self, radiographs: int, left_out: Mapping[str, int], notes: Sequence[str]) -> None:
        """Nothing to note."""

    def started(self, manifest: Manifest) -> None:
        """Nothing to note."""

    def chunk_done(self, chunk: Finished) -> None:
        """Note the time."""
        self.times.append((time.perf_counter() - self.began, len(chunk.rows) + len(chunk.failures)))

    def shard_done(self, shard: Shard) -> None:
        """Nothing to note."""

    def rate(self) -> float:
        """Return radiographs/s once everything is started: from the first tenth of the chunks to the last one."""
        first = max(1, len(self.times) // 10)
        radiographs = sum(count for _, count in self.times[first:])
        return radiographs / (self.times[-1][0] - self.times[first - 1][0])

    def start(self) -> float:
        """Return the seconds to the first chunk."""
        return self.times[0][0]


def repeated(images: Path, count: int, folder: Path) -> Path:
    """Write a table that lists the radiographs of a folder again and again, under other ids, until there are enough."""
    radiographs = list_inputs([images])
    table = folder / "radiographs.csv"
    with table.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["image_id", "path"])
        rows.writerows((f"{number:07d}", radiographs[number % len(radiographs)].absolute()) for number in range(count))
    return table


def published_network(folder: Path, size: int) -> tuple[HybridGNet, Path]:
    """Return the published network with random weights, and a bundle that holds it."""
    torch.manual_seed(0)
    network = HybridGNet(size).eval()
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / "metadata.json").write_text(json.dumps({"name": "published", "version": "0"}))
    write_checkpoint(network, folder / "models" / "model.pt")
    return network, folder


def build(images: Path, output: Path, model: Path | None, workers: int) -> tuple[Clock, Manifest]:
    """Build once, from nothing.

    A shard has as many radiographs as NIH's folder, so that none holds a radiograph twice, which would compress too
    well.
    """
    clock = Clock()
    options = BuildOptions(
        images, output, model=model, samples=SAMPLES, workers=workers, films_per_shard=120, batch_size=4
    )
    return clock, build_dataset(options, clock)


def compare(images: Path, place: Path, radiographs: int, size: int) -> None:
    """Print the published way beside ours, at the same network, samples and size, on all cores."""
    network, bundle = published_network(place / "bundle", size)
    table = repeated(images, radiographs, place)
    files = named_copies(images, radiographs, place / "copies")
    began = time.perf_counter()
    seconds = build_published_way(files, place / "published", network, SAMPLES, size, 0)
    theirs = radiographs / (time.perf_counter() - began)
    written = sum(path.stat().st_size for path in (place / "published").rglob("*") if path.is_file())
    final = (place / "published" / "table.csv").stat().st_size
    lines: list[tuple[str, int, float, float, float | None]] = [
        ("published way", torch.get_num_threads(), theirs, written / radiographs, None)
    ]
    for workers, model in ((1, bundle), (2, bundle), (1, None), (2, None)):
        output = place / f"ours-{workers}-{model is None}"
        clock, manifest = build(table, output, model, workers)
        name = "ours, shipped network and calibration" if model is None else "ours, published network"
        bytes_ = sum(shard.bytes for shard in manifest.shards) / manifest.rows
        lines.append((name, workers, clock.rate(), bytes_, clock.start()))
    print(f"\n{radiographs} radiographs, {size} pixels, {SAMPLES} samples, torch {torch.__version__}\n")
    print("| way | threads or processes | radiographs/s | times | bytes each | hours for 657,566 | GB for 657,566 |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, cores, rate, bytes_, _ in lines:
        hours, size_gb = PUBLISHED_RADIOGRAPHS / rate / 3600, PUBLISHED_RADIOGRAPHS * bytes_ / 1e9
        print(f"| {name} | {cores} | {rate:.1f} | {rate / theirs:.1f} | {bytes_:,.0f} | {hours:.1f} | {size_gb:.1f} |")
    print(f"\nSeconds a radiograph of the published way: {spread_out(seconds, radiographs)}.")
    print(f"Of its bytes, {final / radiographs:,.0f} are those of the table in the end.")
    starts = [start for *_, start in lines if start is not None]
    print(f"Seconds until ours has its first radiographs: {min(starts):.0f} to {max(starts):.0f}.")


def named_copies(images: Path, count: int, folder: Path) -> list[Path]:
    """Link the radiographs under other names, as the published way needs a name for each."""
    folder.mkdir()
    radiographs, links = list_inputs([images]), []
    for number in range(count):
        item = radiographs[number % len(radiographs)]
        link = folder / f"{number:07d}{item.suffix}"
        link.symlink_to(item.absolute())
        links.append(link)
    return links


def spread_out(seconds: Mapping[str, float], radiographs: int) -> str:
    """Return stages with their seconds a radiograph."""
    return ", ".join(f"{stage} {total / radiographs:.3f}" for stage, total in seconds.items())


def stages(images: Path, place: Path, radiographs: int) -> None:
    """Print the share of each step, in one process with one thread, and on a GPU by batch where there is one."""
    paths = list_inputs([images])[:radiographs]
    chunk = Chunk(0, 0, tuple(RadiographFile(path.name, path.name, path) for path in paths))
    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        for batch in [1] if device == "cpu" else [1, 8, 32, 64, 128]:
            work = RadiographWork(Recipe(load_model().network.image_size, samples=SAMPLES, device=device))
            print_stages(work, chunk, batch, place)


def print_stages(work: RadiographWork, chunk: Chunk, batch: int, place: Path) -> None:
    """Time the steps over a chunk, cut to batches."""
    count = len(chunk.radiographs)
    parts = [Chunk(0, first, chunk.radiographs[first : first + batch]) for first in range(0, count, batch)]
    work(parts[0])  # everything is loaded
    seconds = dict.fromkeys(("decode", "encode", "sample and examine", "complete", "write"), 0.0)
    for part in parts:
        clock = time.perf_counter()
        decoded = work.decode(part)
        seconds["decode"] += time.perf_counter() - clock
        clock = time.perf_counter()
        encode_only(work, decoded)
        encode = time.perf_counter() - clock
        clock = time.perf_counter()
        inferred = work.infer(decoded)
        seconds["encode"] += encode
        seconds["sample and examine"] += time.perf_counter() - clock - encode
        clock = time.perf_counter()
        finished = work.complete(inferred)
        seconds["complete"] += time.perf_counter() - clock
        clock = time.perf_counter()
        write_shard(place, part.number, finished.rows, finished.failures)
        seconds["write"] += time.perf_counter() - clock
    total = sum(seconds.values())
    shares = ", ".join(f"{step} {value / total:.0%}" for step, value in seconds.items())
    print(f"{work.recipe.device}, batch {batch}: {count / total:.1f} radiographs/s one after the other; {shares}")


@torch.no_grad()
def encode_only(work: RadiographWork, decoded: Any) -> None:
    """Encode the images of a chunk as `RadiographWork.infer` does, and wait for it."""
    segmenter = work.segmenter
    images = torch.stack([torch.from_numpy(item.image) for item in decoded[1]]).to(segmenter.device)
    for part in images.split(1 if segmenter.device.type == "cpu" else len(images)):
        segmenter.network.encode(part)
    if segmenter.device.type == "cuda":
        torch.cuda.synchronize()


def memory(images: Path, place: Path, radiographs: int, workers: int) -> None:
    """Print the memory of all processes while many radiographs are built."""
    found: list[tuple[float, float]] = []
    stop = threading.Event()
    watch = threading.Thread(target=watch_memory, args=(found, stop))
    watch.start()
    clock, manifest = build(repeated(images, radiographs, place), place / "out", None, workers)
    stop.set()
    watch.join()
    print(f"\n{manifest.rows} radiographs, {workers} processes, {clock.rate():.1f} per second; memory of all, MB:\n")
    print("| part of the build | least | median | most |\n| --- | ---: | ---: | ---: |")
    loaded = [entry for entry in found if entry[0] > clock.start()]
    quarter = max(1, len(loaded) // 4)
    for number in range(4):
        values = [megabytes for _, megabytes in loaded[number * quarter : (number + 1) * quarter]]
        if values:
            print(f"| quarter {number + 1} | {min(values):.0f} | {statistics.median(values):.0f} | {max(values):.0f} |")
    table = pq.read_table(place / "out" / "data", columns=["image_id"])
    print(f"\n{len(table)} rows, {sum(shard.bytes for shard in manifest.shards) / len(table):,.0f} bytes a radiograph")


def watch_memory(found: list[tuple[float, float]], stop: threading.Event) -> None:
    """Note the memory of this process and its children, shared pages counted once, every five seconds."""
    began = time.perf_counter()
    while not stop.wait(5):
        total = 0
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
        found.append((time.perf_counter() - began, total / 1e6))


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--part", choices=("compare", "stages", "memory"), default="compare")
    parser.add_argument("--radiographs", type=int, default=240)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="dataset-build-"))
    try:
        if arguments.part == "compare":
            compare(arguments.images, place, arguments.radiographs, arguments.size)
        elif arguments.part == "stages":
            stages(arguments.images, place, arguments.radiographs)
        else:
            memory(arguments.images, place, arguments.radiographs, arguments.workers)
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
