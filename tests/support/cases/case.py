"""One case of the table of DICOM inputs: a file, what becomes of it, and what was decided."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import config
from pydicom.dataset import FileDataset
from support.samples.dicom import chest_phantom, make_dx, save

from monai_chexmask_u.radiograph import Radiograph

__all__ = ["SHARED_DATA", "Case", "changed", "correlation", "made", "package_file", "shows_phantom", "upright"]

Change = Callable[[FileDataset], None]
Maker = Callable[[Path], Path]
SHARED_DATA: Final = Path(__file__).parents[4] / "shared" / "data"
# The phantom turned over in any way correlates with itself by less than 0.95, inverted by -1.
LEAST_CORRELATION: Final = 0.99


@dataclass(frozen=True)
class Case:
    """A file and what reading it must give.

    Attributes:
        name: of the case and of its file.
        theme: what part of the table it belongs to.
        description: the input in a short phrase.
        decision: what was decided for such inputs, in one line.
        make: writes the file (and others that belong to it) into a folder and returns its path.
        code: of the refusal, or None if the file is read.
        notes: all notes that must be recorded.
        view: expected.
        spacing_mm: expected.
        is_right: judges the image and how it lies.
        needs: a command, a Python package or a folder without which the file cannot be made; empty for none.
    """

    name: str
    theme: str
    description: str
    decision: str
    make: Maker
    code: str | None = None
    notes: frozenset[str] = frozenset()
    view: str | None = "PA"
    spacing_mm: tuple[float, float] | None = (0.7, 0.7)
    is_right: Callable[[Radiograph], bool] = lambda radiograph: shows_phantom(radiograph)
    needs: str = ""

    @property
    def missing(self) -> str:
        """What is not here of what the case needs, for a skip; empty if it can be made."""
        if not self.needs or shutil.which(self.needs) or (self.needs == "shared data" and SHARED_DATA.is_dir()):
            return ""
        try:
            distribution(self.needs)
        except PackageNotFoundError:
            return f"{self.needs} is not here"
        return ""


def made(
    cases: list[Case], theme: str, decision: str, *, notes: tuple[str, ...] = ("spacing_from_imager",), **expected: Any
) -> Callable[[Maker], Maker]:
    """Add a case that a function makes: its name is the case's, the first line of its docstring the description."""

    def add(make: Maker) -> Maker:
        description = str(make.__doc__).splitlines()[0].rstrip(".")
        cases.append(Case(make.__name__, theme, description, decision, make, notes=frozenset(notes), **expected))
        return make

    return add


def changed(
    cases: list[Case],
    theme: str,
    decision: str,
    *,
    base: Callable[[], FileDataset] = make_dx,
    notes: tuple[str, ...] = (),
    spacing_note: str = "spacing_from_imager",
    **expected: Any,
) -> Callable[[Change], Change]:
    """Add a case that is a sample image after a function has changed it, valid or not.

    Args:
        cases: to add to.
        theme: of the case.
        decision: of the case.
        base: makes the sample.
        notes: all that must be recorded but for that on spacing.
        spacing_note: the one on spacing, which every synthetic image has.
        **expected: other attributes of the case.
    """

    def add(change: Change) -> Change:
        def make(folder: Path) -> Path:
            dataset = base()
            with config.disable_value_validation():
                change(dataset)
                return save(dataset, folder / f"{change.__name__}.dcm")

        make.__name__, make.__doc__ = change.__name__, change.__doc__
        made(cases, theme, decision, notes=(*notes, spacing_note), **expected)(make)
        return change

    return add


def package_file(package: str, path: str) -> Path:
    """Return a file that an installed package brings along."""
    return Path(str(distribution(package).locate_file(path)))


def upright(radiograph: Radiograph) -> NDArray[np.float32]:
    """Return the image as one looks at a patient: head up, the patient's right on the left."""
    rows, columns = -1 if radiograph.upside_down else 1, -1 if radiograph.mirrored else 1
    return radiograph.pixels[::rows, ::columns]


def correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return how far two images agree but for brightness and contrast: 1 fully, -1 for a negative."""
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def shows_phantom(radiograph: Radiograph) -> bool:
    """Say whether the image is that of the synthetic chest, bright where it is dense, and lies as the reader says."""
    return correlation(upright(radiograph), chest_phantom(*radiograph.shape)) > LEAST_CORRELATION
