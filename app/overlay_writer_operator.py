"""Write what is no DICOM object: images, masks, records and tables."""

from __future__ import annotations

from app.result_writer_operator import ResultWriterOperator

__all__ = ["OverlayWriterOperator"]


class OverlayWriterOperator(ResultWriterOperator):
    """Writes ``<SOP Instance UID>.overlay.png`` for the eye and ``.json`` for programs; on request the others."""

    formats = ("json", "png", "mask", "csv", "mrk", "ctbl")
