"""Write images and pages that need no other viewer than one of DICOM images and documents."""

from __future__ import annotations

from app.result_writer_operator import ResultWriterOperator

__all__ = ["DocumentWriterOperator"]


class DocumentWriterOperator(ResultWriterOperator):
    """Writes ``<SOP Instance UID>.sc.dcm``, the overlay image, and ``.pdf.dcm``, the summary page.

    Both say that they are not for diagnosis.
    """

    formats = ("sc", "pdf")
