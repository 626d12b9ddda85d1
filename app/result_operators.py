"""From results to files and the archive: the operators that take the results of a run one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from monai.deploy.core import Fragment, Operator, OperatorSpec

from app.landmark_inference_operator import Result
from app.reading_operators import instance_uid
from app.run_record import RunRecord
from app.settings import Settings
from monai_chexmask_u.archive.delivery import deliver
from monai_chexmask_u.archive.failures import ArchiveError
from monai_chexmask_u.archive.objects import is_uid
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.writers.formats import FORMATS, output_writers
from monai_chexmask_u.writers.result_sets import check_replaceable, clear_results

__all__ = [
    "WRITERS",
    "DeliveryOperator",
    "EarlierResultsOperator",
    "Output",
    "ResultOperator",
    "ResultWriterOperator",
    "RunEndOperator",
]

# The writers in their order, by their names in the graph: keys of `monai_chexmask_u.writers.formats.FORMATS`. The
# report is written last, since it refers to the other DICOM objects.
WRITERS: Final[Mapping[str, tuple[str, ...]]] = {
    "OverlayWriterOperator": tuple(key for key, output in FORMATS.items() if not output.needs_dicom),
    "SegmentationWriterOperator": tuple(key for key, output in FORMATS.items() if output.suffix.endswith(".seg.dcm")),
    "PresentationStateWriterOperator": ("pr",),
    "DocumentWriterOperator": ("sc", "pdf"),
    "ReportWriterOperator": ("sr",),
}
OUTBOX_NAME: Final = "outbox"


@dataclass(frozen=True)
class Output:
    """Where the results of a run go; all operators below share it.

    Attributes:
        folder: exists already.
        settings: which formats are wanted.
        numbering: of the DICOM objects.
        record: what was written and what failed.
    """

    folder: Path
    settings: Settings
    numbering: Numbering
    record: RunRecord


class ResultOperator(Operator):
    """Takes the results, does its part, and hands them on: one operator after the other, so that the report comes last.

    Named input:
        results: list of pairs of Radiograph and LandmarkSegmentation.

    Named output:
        results: those that the next operator is to work on.
    """

    def __init__(self, fragment: Fragment, *args: Any, output: Output, **kwargs: Any) -> None:
        """Work on the folder and the record of `output`."""
        self._output = output
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Declare the ports."""
        spec.input("results")
        spec.output("results")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Work on the results, and hand them on."""
        op_output.emit(self.work(op_input.receive("results")), "results")

    def work(self, results: list[Result]) -> list[Result]:
        """Return the results for the next operator."""
        raise NotImplementedError


class EarlierResultsOperator(ResultOperator):
    """Removes what an earlier run left: of an image, the output folder holds the results of one run or none.

    Results of images that were refused or failed go too. Files that this program did not write stay, and an image whose
    results would replace one fails. Those that can be written are handed on.
    """

    def work(self, results: list[Result]) -> list[Result]:
        """Remove the files."""
        folder, record = self._output.folder, self._output.record
        segmented = {instance_uid(radiograph) for radiograph, _ in results}
        for name in [name for name in record.images if is_uid(name) and name not in segmented]:
            with record.attempt(name):
                clear_results(folder, name)
        kept: list[Result] = []
        for radiograph, segmentation in results:
            uid = instance_uid(radiograph)
            with record.attempt(uid):
                check_replaceable(folder, uid, self._output.settings.formats)
                clear_results(folder, uid)
                kept.append((radiograph, segmentation))
        return kept


class ResultWriterOperator(ResultOperator):
    """Writes the results of all images in some formats, to files named after the images' SOP Instance UIDs.

    The SDK's writers are not used: there is none of presentation states, those of reports write text, and that of
    segmentations knows no relation of pixels to the patient and needs a conformance fix by hand.
    """

    def __init__(self, fragment: Fragment, *args: Any, formats: Sequence[str], **kwargs: Any) -> None:
        """Write `formats`, keys of `monai_chexmask_u.writers.formats.FORMATS`, in that order."""
        self._formats = formats
        super().__init__(fragment, *args, **kwargs)

    def work(self, results: list[Result]) -> list[Result]:
        """Write the files."""
        output = self._output
        for radiograph, segmentation in results:
            uid = instance_uid(radiograph)
            for write in output_writers(segmentation, radiograph, output.folder, uid, self._formats, output.numbering):
                with output.record.attempt(uid):  # one by one, so that what was written before a failure is known
                    output.record.wrote(uid, [write()])
        return results


class DeliveryOperator(ResultOperator):
    """Delivers all DICOM objects of the run to an archive, after what an earlier run left in the outbox.

    It does nothing without an archive in the settings. What the archive does not confirm waits in the outbox, and the
    files that were written stay in any case.
    """

    def work(self, results: list[Result]) -> list[Result]:
        """Send the objects."""
        archive, record = self._output.settings.archive, self._output.record
        if archive.target is not None:
            outbox = archive.outbox or self._output.folder / OUTBOX_NAME
            paths = [path for path in record.written if path.suffix == ".dcm"]
            try:
                delivery = deliver(paths, archive.target, outbox, backoff=archive.backoff)
                record.delivered(archive.target.name, delivery)
            except (ArchiveError, ValueError, OSError) as error:
                record.not_delivered(archive.target.name, str(error))
        return results


class RunEndOperator(ResultOperator):
    """Writes ``run.json`` when all is done: what became of every image, and why. It has no output."""

    def setup(self, spec: OperatorSpec) -> None:
        """Declare the port."""
        spec.input("results")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Write the record.

        Raises:
            OSError: if the folder cannot be written to.
        """
        op_input.receive("results")
        self._output.record.write(self._output.folder)
