"""How long each DICOM object takes to build and write: `PYTHONPATH=tests python benchmarks/dicom_objects.py`.

Prints a table in Markdown, for a synthetic film of 2500 x 2048 pixels with 50 samples. Beside the report stands the
same report as highdicom builds it alone; a test compares the two.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
from dicom_samples import make_dx, phantom_landmarks, save
from report_reference import by_highdicom

from monai_chexmask_u.dicom.read import read_dicom
from monai_chexmask_u.geometry import cardiothoracic_ratio
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import Estimate, LandmarkSegmentation, ModelIdentity, Reliability
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
    random, landmarks = np.random.default_rng(0), phantom_landmarks(*radiograph.shape)
    factors = random.normal(0, 3, (len(landmarks), 2, 2))
    covariance = factors @ factors.transpose(0, 2, 1)
    return LandmarkSegmentation(
        landmarks=landmarks,
        covariance=covariance,
        shape=radiograph.shape,
        spacing_mm=radiograph.spacing_mm,
        sample_count=50,
        latent_uncertainty=0.3,
        predictive_px1024=4.2,
        cardiothoracic_ratio=Estimate(float(cardiothoracic_ratio(landmarks)), 0.01),
        model=ModelIdentity("hybridgnet", "1.2.3", "ab" * 32, "cd" * 32),
        reliability=Reliability("review", ("image_quality",)),
        error_covariance=4 * covariance,
        total_px1024=8.5,
        radius90=np.full(len(landmarks), 20.0),
        samples=(landmarks + random.normal(0, 3, (50, *landmarks.shape))).astype(np.float32),
        scores={"combined": 0.5},
    )


def main() -> None:
    """Measure every kind of object and print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        radiograph = read_dicom(save(make_dx(rows=ROWS, columns=COLUMNS), folder / "film.dcm"))
        result = calibrated_result(radiograph)

        def by_highdicom_alone() -> None:
            by_highdicom(result, radiograph).save_as(folder / "highdicom.dcm", enforce_file_format=True)

        print(f"pydicom {pydicom.__version__}, {ROWS} x {COLUMNS} pixels, median of {REPEATS} runs\n")
        print("| object | s | kB |\n| --- | ---: | ---: |")
        for kind in (kind for kind, output in FORMATS.items() if output.needs_dicom):
            seconds = median_seconds(partial(write_outputs, result, radiograph, folder, "film", [kind]))
            size = (folder / f"film{FORMATS[kind].suffix}").stat().st_size
            print(f"| {kind} | {seconds:.2f} | {size / 1000:.0f} |")
        seconds = median_seconds(by_highdicom_alone)
        print(f"| sr, by highdicom alone | {seconds:.2f} | {(folder / 'highdicom.dcm').stat().st_size / 1000:.0f} |")


if __name__ == "__main__":
    main()
