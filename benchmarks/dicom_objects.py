"""How long each DICOM object takes to build and write: `PYTHONPATH=tests python benchmarks/dicom_objects.py`.

Prints a table in Markdown, for a synthetic radiograph of 2500 x 2048 pixels with 50 samples. Beside the report stands
the same report as highdicom builds it alone; a test compares the two.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
from support.samples.dicom import make_dx, save
from support.samples.report_reference import by_highdicom
from support.samples.segmentations import make_segmentation

from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.writers.formats import FORMATS, write_outputs

REPEATS = 10
ROWS, COLUMNS = 2500, 2048


def median_seconds(work: Callable[[], object]) -> float:
    """Return the median time of ten runs after a first one that is not counted."""
    work()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def calibrated_result(radiograph: Radiograph) -> LandmarkSegmentation:
    """Return a result that has all that can be written."""
    plain = make_segmentation(radiograph)
    spread = np.random.default_rng(0).normal(0, 3, (50, *plain.landmarks.shape))
    return replace(
        plain,
        error_covariance=4 * plain.covariance,
        total_px1024=8.5,
        radius90=np.full(len(plain.landmarks), 20.0),
        samples=(plain.landmarks + spread).astype(np.float32),
        scores={"combined": 0.5},
    )


def main() -> None:
    """Measure every kind of object and print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        radiograph = read_dicom(save(make_dx(rows=ROWS, columns=COLUMNS), folder / "radiograph.dcm"))
        result, source = calibrated_result(radiograph), SourceImage(radiograph)

        def by_highdicom_alone() -> None:
            by_highdicom(result, source).save_as(folder / "highdicom.dcm", enforce_file_format=True)

        print(f"pydicom {pydicom.__version__}, {ROWS} x {COLUMNS} pixels, median of {REPEATS} runs\n")
        print("| object | s | kB |\n| --- | ---: | ---: |")
        for kind in (kind for kind, output in FORMATS.items() if output.needs_dicom):
            seconds = median_seconds(partial(write_outputs, result, radiograph, folder, "radiograph", [kind]))
            size = (folder / f"radiograph{FORMATS[kind].suffix}").stat().st_size
            print(f"| {kind} | {seconds:.2f} | {size / 1000:.0f} |")
        seconds = median_seconds(by_highdicom_alone)
        print(f"| sr, by highdicom alone | {seconds:.2f} | {(folder / 'highdicom.dcm').stat().st_size / 1000:.0f} |")


if __name__ == "__main__":
    main()
