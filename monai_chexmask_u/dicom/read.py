"""Read one frontal chest radiograph from a DICOM file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from monai_chexmask_u.dicom.header import examine, looks_like_dicom
from monai_chexmask_u.dicom.pixels import displayed_pixels
from monai_chexmask_u.radiograph import Radiograph, RadiographError

__all__ = ["read_dicom"]

SYNTAX_OF_ENCODING: Final[dict[tuple[bool | None, bool | None], UID]] = {
    (True, True): ImplicitVRLittleEndian,
    (False, True): ExplicitVRLittleEndian,
    (False, False): ExplicitVRBigEndian,
}


def read_dicom(path: Path) -> Radiograph:
    """Read a CR or DX image (for presentation) of a human chest in frontal view.

    Args:
        path: a DICOM file; preamble and file meta information may be missing, as in old files.

    Returns:
        The radiograph as stored, bright = dense, with the data set without its pixels as `header`.

    Raises:
        RadiographError: if the file cannot be used. Codes: ``not_found``, ``not_readable``, ``not_dicom``,
            ``truncated``, ``undecodable`` and those of `examine` and `displayed_pixels`.
    """
    with warnings.catch_warnings():
        # pydicom's warnings quote values from the header, which may be patient data.
        warnings.simplefilter("ignore")
        dataset = _load(path)
        try:
            return _radiograph(dataset, path)
        except RadiographError:
            raise
        except Exception:  # pydicom converts on access; its errors quote values from the header
            message = "the file's header or pixels are malformed: export or send it again"
            raise RadiographError("undecodable", message) from None


def _radiograph(dataset: FileDataset, path: Path) -> Radiograph:
    """Examine and decode a parsed file."""
    notes = _complete_transfer_syntax(dataset)
    _check_end(dataset, path)
    facts = examine(dataset)
    pixels, pixel_notes = displayed_pixels(dataset)
    del dataset.PixelData
    return Radiograph(
        pixels,
        path,
        spacing_mm=facts.spacing_mm,
        view=facts.view,
        mirrored=facts.mirrored,
        upside_down=facts.upside_down,
        notes=(*notes, *facts.notes, *pixel_notes),
        header=dataset,
    )


def _load(path: Path) -> FileDataset:
    """Parse the file, without a preamble only if it starts like DICOM."""
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except FileNotFoundError:
        raise RadiographError("not_found", "there is no such file: check the spelling") from None
    except OSError:
        raise RadiographError("not_readable", "the file cannot be opened: check its permissions") from None
    if not looks_like_dicom(head):
        raise RadiographError("not_dicom", "the file is empty or no DICOM file: choose a CR or DX image")
    try:
        return dcmread(path, force=True)  # the check above stands in for its own
    except Exception:  # a damaged file can raise nearly anything in the parser
        message = "the file cannot be parsed, it is cut off or damaged: copy or send it again"
        raise RadiographError("truncated", message) from None


def _complete_transfer_syntax(dataset: FileDataset) -> list[str]:
    """Add a missing transfer syntax, which pixels cannot be decoded without, and return notes.

    pydicom looked at the first element to see whether it names its type; files so old are not compressed.
    """
    if dataset.file_meta.get("TransferSyntaxUID"):
        return []
    dataset.file_meta.TransferSyntaxUID = SYNTAX_OF_ENCODING[dataset.original_encoding]
    return ["transfer_syntax_assumed"]


def _check_end(dataset: FileDataset, path: Path) -> None:
    """Refuse a header that breaks off inside an element, which pydicom does not report."""
    if "PixelData" not in dataset and _ends_inside_element(dataset, path):
        raise RadiographError("truncated", "the file ends in the middle of its header: copy or send it again")


def _ends_inside_element(dataset: FileDataset, path: Path) -> bool:
    """Say whether the last element that was parsed ends elsewhere than the file."""
    if not len(dataset):
        return True
    last = dataset.get_item(max(dataset.keys()))
    if dataset.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian or not isinstance(last, RawDataElement):
        return False  # the element's place in the file is not known
    end: int = last.value_tell + last.length
    return end != path.stat().st_size
