"""Every output format by its name on the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.writers.mask import write_mask
from monai_chexmask_u.writers.overlay import write_overlay
from monai_chexmask_u.writers.record import write_json, write_table

__all__ = ["FORMATS", "Format", "parse_formats", "write_outputs"]

Writer = Callable[[LandmarkSegmentation, Radiograph, Path], None]


@dataclass(frozen=True)
class Format:
    """One kind of output file."""

    suffix: str
    write: Writer
    needs_dicom: bool = False


def _write_seg(segmentation: LandmarkSegmentation, radiograph: Radiograph, path: Path) -> None:
    from monai_chexmask_u.dicom.write import write_segmentation  # highdicom is slow to import

    write_segmentation(segmentation, radiograph, path)


def _write_sr(segmentation: LandmarkSegmentation, radiograph: Radiograph, path: Path) -> None:
    from monai_chexmask_u.dicom.write import write_report

    write_report(segmentation, radiograph, path)


FORMATS = {
    "json": Format(".json", write_json),
    "png": Format(".overlay.png", write_overlay),
    "mask": Format(".mask.png", write_mask),
    "csv": Format(".landmarks.csv", write_table),
    "seg": Format(".seg.dcm", _write_seg, needs_dicom=True),
    "sr": Format(".sr.dcm", _write_sr, needs_dicom=True),
}


def parse_formats(names: str) -> list[str]:
    """Split a list such as ``json,png``.

    Raises:
        ValueError: if a name is unknown or there is none.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in FORMATS]
    if unknown or not wanted:
        raise ValueError(f"unknown output format {', '.join(unknown) or '(none)'}; choose from {', '.join(FORMATS)}")
    return list(dict.fromkeys(wanted))


def write_outputs(
    segmentation: LandmarkSegmentation, radiograph: Radiograph, folder: Path, name: str, formats: Sequence[str]
) -> list[Path]:
    """Write the files of one image.

    Args:
        segmentation: the result.
        radiograph: the image.
        folder: exists already.
        name: what the files' names start with.
        formats: keys of `FORMATS`; those that need a DICOM source are left out for pictures.

    Returns:
        The files written.

    Raises:
        OSError: if the folder cannot be written to.
    """
    written = []
    for key in formats:
        output = FORMATS[key]
        if output.needs_dicom and radiograph.header is None:
            continue
        path = folder / f"{name}{output.suffix}"
        output.write(segmentation, radiograph, path)
        written.append(path)
    return written
