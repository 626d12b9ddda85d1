"""Write overlay pictures and JSON records."""

from __future__ import annotations

from app.result_writer_operator import ResultWriterOperator

__all__ = ["OverlayWriterOperator"]


class OverlayWriterOperator(ResultWriterOperator):
    """Writes ``<SOP Instance UID>.overlay.png`` for the eye and ``<SOP Instance UID>.json`` for programs."""

    formats = ("png", "json")
