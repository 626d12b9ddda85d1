"""Every output format by its name on the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from monai_chexmask_u.files.result_suffixes import RESULT_SUFFIXES
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.writers.images import write_color_table, write_mask, write_overlay
from monai_chexmask_u.writers.markups import write_markups
from monai_chexmask_u.writers.record import write_json, write_table

if TYPE_CHECKING:
    from monai_chexmask_u.dicom.numbering import Numbering
    from monai_chexmask_u.dicom.source import SourceImage

__all__ = ["FORMATS", "Format", "output_writers", "parse_formats", "write_outputs"]

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

    image = np.asarray(segmentation.with_radiograph(source.radiograph).overlay)
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


def parse_formats(names: str | Sequence[str]) -> list[str]:
    """Return formats in the order of `FORMATS`.

    Args:
        names: such as ``json,png``, or a sequence of them.

    Raises:
        ValueError: if a name is unknown or there is none.
    """
    given = names.split(",") if isinstance(names, str) else names
    wanted = [name.strip() for name in given if name.strip()]
    unknown = [name for name in wanted if name not in FORMATS]
    if unknown or not wanted:
        raise ValueError(f"unknown output format {', '.join(unknown) or '(none)'}; choose from {', '.join(FORMATS)}")
    return [name for name in FORMATS if name in wanted]


def write_outputs(
    segmentation: LandmarkSegmentation,
    radiograph: Radiograph,
    folder: Path | str,
    name: str,
    formats: str | Sequence[str],
    numbering: Numbering | None = None,
) -> list[Path]:
    """Write the files of one radiograph.

    Args:
        segmentation: the result.
        radiograph: what was segmented.
        folder: exists already.
        name: what the files' names start with.
        formats: keys of `FORMATS`, in one string or as a sequence; those of DICOM objects are left out where
            the radiograph has none.
        numbering: of the run, so that the DICOM objects of several radiographs share their series; by default they
            have a numbering of their own.

    Returns:
        The files written.

    Raises:
        ValueError: if a format is unknown, or a DICOM object cannot be made of this radiograph.
        OSError: if the folder cannot be written to.
    """
    chosen = parse_formats(formats)
    return [write() for write in output_writers(segmentation, radiograph, Path(folder), name, chosen, numbering)]


def output_writers(
    segmentation: LandmarkSegmentation,
    radiograph: Radiograph,
    folder: Path,
    name: str,
    formats: Sequence[str],
    numbering: Numbering | None = None,
) -> Iterator[Callable[[], Path]]:
    """Yield what writes each of the files when it is called, and returns its path; else as `write_outputs`.

    So a caller can continue with the next format after one that failed.
    """
    radiograph = segmentation.as_measured(radiograph)
    if not radiograph.why_no_dicom:
        from monai_chexmask_u.dicom.numbering import Numbering  # keeps pydicom out where no object is written
        from monai_chexmask_u.dicom.source import SourceImage

        source = cache(lambda: SourceImage(radiograph))  # of a bad header each DICOM format fails, and no other one
        of_run = numbering or Numbering()
    for key in formats:
        output, path = FORMATS[key], folder / f"{name}{FORMATS[key].suffix}"
        if output.write is not None:
            yield partial(_written, path, partial(output.write, segmentation, radiograph, path))
        elif output.write_dicom is not None and not radiograph.why_no_dicom:
            write = output.write_dicom
            yield partial(_written, path, partial(_write_dicom, write, segmentation, source, path, of_run))


def _write_dicom(
    write: DicomWriter,
    segmentation: LandmarkSegmentation,
    source: Callable[[], SourceImage],
    path: Path,
    numbering: Numbering,
) -> None:
    write(segmentation, source(), path, numbering)


def _written(path: Path, write: Callable[[], None]) -> Path:
    write()
    return path
