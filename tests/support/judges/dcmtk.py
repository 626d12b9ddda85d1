"""DCMTK's readers of reports (dsrdump) and presentation states (dcmpschk, dcmp2pgm)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR
from support.judges.programs import run

__all__ = ["dcmpschk", "dsrdump", "gray_values", "polarity", "rendered", "report_tree"]

MOST_LEVELS: Final = 1.0  # of 255; rounding down leaves half of one
LEAST_CORRELATION: Final = 0.99
VIEWERS_CHOICE: Final = frozenset({"no_window", "window_ignored", "high_bit_assumed"})


def report_tree(path: Path) -> tuple[int, str]:
    """Return dsrdump's exit code, and the report as a tree in text."""
    return run("dsrdump", path)


def dsrdump(path: Path) -> list[str]:
    """Return the errors of relationships, multiplicity and required values that keep dsrdump from reading a report."""
    code, text = report_tree(path)
    errors = [line for line in text.splitlines() if line.startswith(("E:", "F:"))]
    return errors or ([f"exit code {code}"] if code else [])


def dcmpschk(path: Path) -> list[str]:
    """Return the errors that dcmpschk finds in a presentation state. Its exit code is 0 whatever it finds."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "ascii.dcm"
        _without_what_it_mistakes(pydicom.dcmread(path)).save_as(plain)
        _, text = run("dcmpschk", plain)
    if "Test passed" in text:
        return []
    return [line for line in text.splitlines() if not line.startswith("W: Testing")] or ["no result"]


def rendered(state: Path, image: Path) -> NDArray[np.uint8]:
    """Return an image as a presentation state wants it shown ``(row, column)``, 255 is white; without its graphics.

    Raises:
        ValueError: if dcmp2pgm cannot show it.
    """
    with tempfile.TemporaryDirectory() as folder:
        rendering = Path(folder) / "shown.pgm"
        _, text = run("dcmp2pgm", "--pstate", state, image, rendering)
        if not rendering.is_file():
            raise ValueError(f"dcmp2pgm shows nothing: {text.strip()}")
        return np.asarray(Image.open(rendering))


def gray_values(state: Path, image: Path, expected: NDArray[np.float32], notes: Iterable[str]) -> list[str]:
    """Return a complaint if a presentation state shows an image with other gray values than those expected.

    Args:
        state: the presentation state.
        image: the image that it refers to.
        expected: what must be shown ``(row, column)``, 0..1; pixels of 0 are not looked at: they may be padding, and
            what a viewer makes of that is its own affair.
        notes: of the reader. Where the header has no usable window, or does not say rightly which bits count, gray
            values need only agree but for brightness and contrast.
    """
    exposed = expected > 0
    try:
        shown, levels = rendered(state, image)[exposed].astype(np.float64), 255.0 * expected[exposed]
    except ValueError as error:
        return [str(error)]
    if VIEWERS_CHOICE.intersection(notes):
        correlation = float(np.corrcoef(shown, levels)[0, 1])
        return [] if correlation > LEAST_CORRELATION else [f"shows other gray values (r = {correlation:.3f})"]
    difference = float(np.abs(shown - levels).mean())
    return [] if difference < MOST_LEVELS else [f"shows gray values that differ by {difference:.1f} of 255"]


def polarity(state: Path, image: Path, *, bright: NDArray[Any], dark: NDArray[Any]) -> list[str]:
    """Return a complaint if a presentation state shows an image with inverted gray levels, or not at all.

    Args:
        state: the presentation state.
        image: the image that it refers to.
        bright: mask ``(row, column)`` of what must be shown bright, such as the mediastinum.
        dark: mask of what must be shown darker, such as the lungs.
    """
    try:
        shown = rendered(state, image)
    except ValueError as error:
        return [str(error)]
    levels = float(shown[bright].mean()), float(shown[dark].mean())
    return (
        [] if levels[0] > levels[1] else [f"what must be bright is shown at {levels[0]:.0f}, dark at {levels[1]:.0f}"]
    )


def _without_what_it_mistakes(dataset: Dataset) -> Dataset:
    """Replace what dcmpschk takes for errors: letters of UTF-8, and a name that is there and empty, as it may be."""
    if "PatientName" in dataset and not dataset.PatientName:
        dataset.PatientName = "NOBODY"
    for element in dataset.iterall():
        if element.VR in CUSTOMIZABLE_CHARSET_VR and not str(element.value).isascii():
            element.value = str(element.value).encode("ascii", "replace").decode()
    return dataset
