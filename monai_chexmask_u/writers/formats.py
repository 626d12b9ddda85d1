"""Every output format by its name on the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from monai_chexmask_u.files.naming import RESULT_SUFFIXES
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.writers.color_table import write_color_table
from monai_chexmask_u.writers.markups import write_markups
from monai_chexmask_u.writers.mask import write_mask
from monai_chexmask_u.writers.overlay import draw_overlay, write_overlay
from monai_chexmask_u.writers.record import write_json, write_table

if TYPE_CHECKING:
    from monai_chexmask_u.dicom.numbering import Numbering
    from monai_chexmask_u.dicom.source import SourceImage

__all__ = ["FORMATS", "Format", "parse_formats", "write_outputs"]

# A file from a result and its image; DICOM objects take the run's numbering as well.
Writer = Callable[[LandmarkSegmentation, Radiograph, Path], None]
DicomWriter = Callable[[LandmarkSegmentation, "SourceImage", Path, "Numbering"], None]


@dataclass(frozen=True)
class Format:
    """One kind of output file: `write` makes one of any radiograph, `write_dicom` needs one with a DICOM header."""

    suffix: str
    write: Writer | None = None
    write_dicom: DicomWriter | None = None

    @property
    def needs_dicom(self) -> bool:
        """Whether it can be made of a radiograph with a DICOM header alone."""
        return self.write is None


def _write_object(
    kind: str,
    segmentation: LandmarkSegmentation,
    source: SourceImage,
    path: Path,
    numbering: Numbering,
) -> None:
    from monai_chexmask_u.dicom.write import write_object  # highdicom is slow to import

    write_object(kind, segmentation, source, path, numbering)


def _write_capture(segmentation: LandmarkSegmentation, source: SourceImage, path: Path, numbering: Numbering) -> None:
    from monai_chexmask_u.dicom.write import write_capture

    image = np.asarray(draw_overlay(segmentation, source.radiograph))
    write_capture(image, segmentation, source, path, numbering)


def _write_document(segmentation: LandmarkSegmentation, source: SourceImage, path: Path, numbering: Numbering) -> None:
    from monai_chexmask_u.dicom.write import write_document
    from monai_chexmask_u.writers.summary_page import summary_page  # reportlab is slow to import

    write_document(summary_page(segmentation, source.radiograph), segmentation, source, path, numbering)


def _plain(key: str, write: Writer) -> Format:
    return Format(RESULT_SUFFIXES[key], write=write)


def _dicom(key: str, write: DicomWriter) -> Format:
    return Format(RESULT_SUFFIXES[key], write_dicom=write)


def _object(key: str) -> Format:
    return _dicom(key, partial(_write_object, key))


# The report comes last, because it refers to all other DICOM objects of its image.
FORMATS = {
    "json": _plain("json", write_json),
    "png": _plain("png", write_overlay),
    "mask": _plain("mask", write_mask),
    "csv": _plain("csv", write_table),
    "mrk": _plain("mrk", write_markups),
    "ctbl": _plain("ctbl", write_color_table),
    "seg": _object("seg"),
    "seg-fractional": _object("seg-fractional"),
    "seg-labelmap": _object("seg-labelmap"),
    "seg-viewer": _object("seg-viewer"),
    "pr": _object("pr"),
    "sc": _dicom("sc", _write_capture),
    "pdf": _dicom("pdf", _write_document),
    "sr": _object("sr"),
}


def parse_formats(names: str) -> list[str]:
    """Split a list such as ``json,png``, and return it in the order of `FORMATS`.

    Raises:
        ValueError: if a name is unknown or there is none.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in FORMATS]
    if unknown or not wanted:
        raise ValueError(f"unknown output format {', '.join(unknown) or '(none)'}; choose from {', '.join(FORMATS)}")
    return [name for name in FORMATS if name in wanted]


def write_outputs(
    segmentation: LandmarkSegmentation,
    radiograph: Radiograph,
    folder: Path,
    name: str,
    formats: Sequence[str],
    numbering: Numbering | None = None,
) -> list[Path]:
    """Write the files of one image.

    Args:
        segmentation: the result.
        radiograph: the image.
        folder: exists already.
        name: what the files' names start with.
        formats: keys of `FORMATS`; those that need a DICOM source are left out for images.
        numbering: of the run, so that the DICOM objects of several images share their series; by default those of this
            image have series of their own.

    Returns:
        The files written.

    Raises:
        OSError: if the folder cannot be written to.
    """
    written, source = [], None
    for key in formats:
        output = FORMATS[key]
        if output.needs_dicom and radiograph.header is None:
            continue
        path = folder / f"{name}{output.suffix}"
        if output.write is not None:
            output.write(segmentation, radiograph, path)
        elif output.write_dicom is not None:
            from monai_chexmask_u.dicom.numbering import Numbering  # images need no pydicom
            from monai_chexmask_u.dicom.source import SourceImage

            source, numbering = source or SourceImage(radiograph), numbering or Numbering()
            output.write_dicom(segmentation, source, path, numbering)
        written.append(path)
    return written
