"""Write DICOM Segmentation objects."""

from __future__ import annotations

from app.result_writer_operator import ResultWriterOperator

__all__ = ["SegmentationWriterOperator"]


class SegmentationWriterOperator(ResultWriterOperator):
    """Writes ``<SOP Instance UID>.seg.dcm``: right lung, left lung and heart as a DICOM SEG.

    It is binary; on request there are also one of probabilities, a label map, and a copy with an invented geometry.
    The SDK's writer gives no pixels' relation to the patient and needs a conformance fix by hand; the library's own
    does both.
    """

    formats = ("seg", "seg-fractional", "seg-labelmap", "seg-viewer")
