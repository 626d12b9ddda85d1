"""Write DICOM structured reports."""

from __future__ import annotations

from app.result_writer_operator import ResultWriterOperator

__all__ = ["ReportWriterOperator"]


class ReportWriterOperator(ResultWriterOperator):
    """Writes ``<SOP Instance UID>.sr.dcm``: landmarks, measurements and uncertainty as a TID 1500 report.

    It comes after all other writers, because it refers to what they wrote. The SDK writes text reports only.
    """

    formats = ("sr",)
