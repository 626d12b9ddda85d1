"""Write DICOM presentation states."""

from __future__ import annotations

from app.result_writer_operator import ResultWriterOperator

__all__ = ["PresentationStateWriterOperator"]


class PresentationStateWriterOperator(ResultWriterOperator):
    """Writes ``<SOP Instance UID>.pr.dcm``: contours, uncertainty and verdict, to be shown on the radiograph.

    The SDK writes no presentation states.
    """

    formats = ("pr",)
