"""Send the DICOM results to an archive."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import Fragment, Operator, OperatorSpec

from app.result_writer_operator import Output
from monai_chexmask_u.archive.delivery import deliver
from monai_chexmask_u.archive.failures import ArchiveError

__all__ = ["DeliveryOperator"]

OUTBOX_NAME = "outbox"


class DeliveryOperator(Operator):
    """Delivers all DICOM objects of the run when all writers are done, after what an earlier run left in the outbox.

    Without an archive in the settings it hands on the results alone. What the archive does not confirm waits in the
    outbox, and the files that were written stay in any case.

    Named input:
        results: list of pairs of Radiograph and LandmarkSegmentation.

    Named output:
        results: the same.
    """

    def __init__(self, fragment: Fragment, *args: Any, output: Output, **kwargs: Any) -> None:
        """Deliver what was written to `output`."""
        self._output = output
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Declare the ports."""
        spec.input("results")
        spec.output("results")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Send the objects."""
        results = op_input.receive("results")
        archive = self._output.settings.archive
        if archive.target is not None:
            outbox = archive.outbox or self._output.folder / OUTBOX_NAME
            paths = [path for path in self._output.record.written if path.suffix == ".dcm"]
            try:
                delivery = deliver(paths, archive.target, outbox, backoff=archive.backoff)
                self._output.record.delivered(archive.target.name, delivery)
            except (ArchiveError, ValueError, OSError) as error:
                self._output.record.not_delivered(archive.target.name, str(error))
        op_output.emit(results, "results")
