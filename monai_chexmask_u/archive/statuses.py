"""What an archive says of an object that it was sent: one table for C-STORE and for STOW-RS."""

from __future__ import annotations

from typing import Final

from monai_chexmask_u.archive.failures import ArchiveUnusable, ObjectRefused, TryLater

__all__ = ["DUPLICATE", "check_status"]

DUPLICATE: Final = 0x0111

# PS3.7, annex C, and PS3.4, B.2.3; PS3.18, 10.5.3, gives STOW-RS the same numbers.
_MEANINGS: Final = {
    0x0107: "attribute list error",
    0x0110: "processing failure",
    DUPLICATE: "the archive has it already",
    0x0116: "attribute value out of range",
    0x0117: "invalid object instance",
    0x0122: "SOP class not supported",
    0x0124: "not authorized",
    0x0210: "duplicate invocation",
    0x0211: "unrecognized operation",
    0x0212: "mistyped argument",
    0xB000: "values were changed",
    0xB006: "elements were discarded",
    0xB007: "the data set does not match its SOP class",
    0xC122: "transfer syntax not supported",
}
_RANGES: Final = (
    (0xA700, 0xA7FF, "out of resources"),
    (0xA900, 0xA9FF, "the data set does not match its SOP class"),
    (0xB000, 0xBFFF, "warning"),
    (0xC000, 0xCFFF, "the object cannot be understood"),
)
# A duplicate is a failure to DICOM. To a sender it is what it wanted: the confirmation of an earlier attempt was lost.
_WARNINGS: Final = (0x0107, DUPLICATE, 0x0116)
# Those that blame the object: no second attempt will change that. Full disks and failures in general may pass.
_OF_THE_OBJECT: Final = (0x0117, 0x0122, 0x0212)
_OF_THE_CLIENT: Final = (0x0124, 0x0211)


def check_status(status: int, archive: str) -> str | None:
    """Judge the status of a stored object, or the reason of its failure.

    Args:
        status: (0000,0900) of a C-STORE response; (0008,1197) or (0008,1196) of a STOW-RS response.
        archive: its name, for messages.

    Returns:
        None if the object is stored; what it was stored with, if that was a warning.

    Raises:
        ObjectRefused: if the archive will never take this object.
        ArchiveUnusable: if it takes none from this client.
        TryLater: if it may take it later.

    Example:
        >>> check_status(0xB000, "ORTHANC@127.0.0.1:4242")
        'values were changed (0xB000)'
    """
    if status == 0x0000:
        return None
    text = f"{_meaning(status)} (0x{status:04X})"
    if 0xB000 <= status <= 0xBFFF or status in _WARNINGS:
        return text
    if status in _OF_THE_OBJECT or 0xA900 <= status <= 0xA9FF or 0xC000 <= status <= 0xCFFF:
        raise ObjectRefused(f"{archive} refuses this object: {text}")
    if status in _OF_THE_CLIENT:
        raise ArchiveUnusable(f"{archive} lets this program store nothing: {text}; ask its administrator")
    raise TryLater(f"{archive} could not store an object: {text}; see its log")


def _meaning(status: int) -> str:
    ranges = (text for first, last, text in _RANGES if first <= status <= last)
    return _MEANINGS.get(status) or next(ranges, "unknown status")
