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

__all__ = ["Outcome", "segment_files"]


@dataclass(frozen=True)
class Outcome:
    """What became of one file: what was written, or why not.

    Attributes:
        path: the input.
        written: output files.
        left_out: formats that need a DICOM source, for a picture.
        code: machine-readable reason of a failure, or None.
        message: the failure in one sentence.
    """

    path: Path
    written: tuple[Path, ...] = ()
    left_out: tuple[str, ...] = ()
    code: str | None = None
    message: str = ""


def segment_files(
    segmenter: Segmenter, paths: Sequence[Path], folder: Path, formats: Sequence[str]
) -> Iterator[Outcome]:
    """Segment files one by one and write their outputs.

    Args:
        segmenter: does the work.
        paths: images.
        folder: where the outputs go; exists already.
        formats: keys of `monai_chexmask_u.writers.formats.FORMATS`.

    Yields:
        One outcome per file, in order.
    """
    for path, name in zip(paths, output_names(paths), strict=True):
        try:
            radiograph = read_radiograph(path)
            left_out = tuple(key for key in formats if FORMATS[key].needs_dicom and radiograph.header is None)
            if len(left_out) == len(formats):
                raise RadiographError("needs_dicom", "DICOM outputs need a DICOM image; ask for json or png instead")
            written = write_outputs(segmenter.segment(radiograph), radiograph, folder, name, formats)
            yield Outcome(path, tuple(written), left_out)
        except RadiographError as error:
            yield Outcome(path, code=error.code, message=str(error))
        except OSError as error:
            yield Outcome(path, code="not_written", message=f"cannot read it or write its outputs: {error.strerror}")
        except (ValueError, RuntimeError, MemoryError) as error:
            cause = str(error).splitlines()[0] if str(error) else type(error).__name__
            yield Outcome(path, code="failed", message=f"the segmentation failed: {cause}")
