"""What the notes of a `Radiograph` mean, in words for people."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

__all__ = ["READING_NOTES", "note_in_words"]

READING_NOTES: Final = MappingProxyType(
    {
        "body_part_unknown": "The header names no body part; a chest was assumed.",
        "burned_in_annotation": "The header says that text is burned into the image; it may identify the patient.",
        "color_ignored": "Slight colors of the picture were ignored.",
        "intensity_stretched": "Gray levels were stretched over most of the range that the file uses.",
        "lossy_compression": "The image was compressed with loss before it was read.",
        "magnification_corrected": "Pixel sizes were divided by the header's magnification factor.",
        "mirrored": "The image is stored mirrored: the patient's right is on its right.",
        "no_window": "The header has no window; gray levels were stretched over most of their range.",
        "orientation_assumed": "The file does not say in full how the patient lies; the usual way was assumed.",
        "photometric_inverted": "Stored gray levels were inverted, so that bone is bright.",
        "pixel_aspect_ignored": "The header's pixel aspect was ignored: pixels were taken for square.",
        "rescale_ignored": "The header's rescaling of gray levels makes no sense and was ignored.",
        "secondary_capture": "The file is a secondary capture of a radiograph.",
        "spacing_from_calibrated_pixel_spacing": "Pixel sizes were calibrated to the patient.",
        "spacing_from_imager": "Pixel sizes were measured at the detector, where the patient appears larger.",
        "spacing_invalid": "The header's pixel sizes make no sense; no millimeters are given.",
        "spacing_uncalibrated": "Pixel sizes are those of the header, which does not say where they were measured.",
        "spacing_unknown": "The file gives no pixel sizes; no millimeters are given.",
        "transfer_syntax_assumed": "The file does not say how it is encoded; this was concluded from its content.",
        "upside_down": "The image is stored upside down: the head is at its bottom.",
        "view_unknown": "The file does not say PA or AP; in an AP view the heart appears larger.",
        "window_ignored": "The header's window would hide the chest; gray levels were stretched instead.",
    }
)


def note_in_words(note: str) -> str:
    """Return a note of `Radiograph.notes` as a sentence.

    Example:
        >>> note_in_words("color_ignored")
        'Slight colors of the picture were ignored.'
        >>> note_in_words("note_of_another_reader")
        'Note of another reader.'
    """
    words = note.replace("_", " ")
    return READING_NOTES.get(note) or f"{words[:1].upper()}{words[1:]}."
