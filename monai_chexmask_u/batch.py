"""Segmenting many files: one bad file never stops the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.writers.formats import FORMATS, write_outputs
from monai_chexmask_u.writers.naming import output_names

__all__ = ["Outcome", "check_targets", "fault_of", "segment_files"]


@dataclass(frozen=True)
class Outcome:
    """What became of one file: what was written, or why not.

    Attributes:
        path: the input.
        written: output files.
        left_out: formats that need a DICOM source, for a picture.
        code: machine-readable reason of a failure, or None.
        message: the failure in one sentence.
        verdict: accept, review or reject; None after a failure.
    """

    path: Path
    written: tuple[Path, ...] = ()
    left_out: tuple[str, ...] = ()
    code: str | None = None
    message: str = ""
    verdict: str | None = None


def segment_files(
    segmenter: Segmenter,
    paths: Sequence[Path],
    folder: Path,
    formats: Sequence[str],
    *,
    reproducible_uids: bool = False,
) -> Iterator[Outcome]:
    """Segment files one by one and write their outputs.

    Args:
        segmenter: does the work.
        paths: images.
        folder: where the outputs go; exists already.
        formats: keys of `monai_chexmask_u.writers.formats.FORMATS`.
        reproducible_uids: give the DICOM objects the UIDs that another run would give them.

    Yields:
        One outcome per file, in order.
    """
    from monai_chexmask_u.dicom.numbering import Numbering  # keeps pydicom out of `--help`
    from monai_chexmask_u.dicom.same_image import ImageRegister

    numbering, register = Numbering(reproducible=reproducible_uids), ImageRegister()
    for path, name in zip(paths, output_names(paths), strict=True):
        written: list[Path] = []
        try:
            radiograph = read_radiograph(path)
            left_out = tuple(key for key in formats if FORMATS[key].needs_dicom and radiograph.header is None)
            if len(left_out) == len(formats):
                raise RadiographError("needs_dicom", "DICOM outputs need a DICOM image; ask for json or png instead")
            segmentation = segmenter.segment(radiograph)
            register.add(radiograph)
            for key in formats:  # one by one, so that what was written before a failure is known
                written += write_outputs(segmentation, radiograph, folder, name, [key], numbering)
            yield Outcome(path, tuple(written), left_out, verdict=segmentation.reliability.verdict)
        except Exception as error:  # whatever is wrong with one file, the others go on
            code, message = fault_of(error)
            yield Outcome(path, tuple(written), code=code, message=message)


def fault_of(error: Exception) -> tuple[str, str]:
    """Return code and message for what went wrong with one image.

    The text of an error that is not the project's own is left out: it may quote the header, and so the patient.
    """
    if isinstance(error, RadiographError):
        return error.code, str(error)
    if isinstance(error, OSError):
        cause = error.strerror or type(error).__name__
        return "not_written", f"the file cannot be read or its results cannot be written ({cause})"
    return "failed", f"the segmentation failed ({type(error).__name__}); please report it with the kind of file"


def check_targets(paths: Sequence[Path], folder: Path, formats: Sequence[str]) -> None:
    """See that no result would replace one of the inputs.

    Raises:
        ValueError: if one would.
    """
    inputs = {path.resolve() for path in paths}
    for name in output_names(paths):
        for key in formats:
            target = folder / f"{name}{FORMATS[key].suffix}"
            if target.resolve() in inputs:
                raise ValueError(f"{target}: this input would be replaced by a result; choose another folder with -o")
