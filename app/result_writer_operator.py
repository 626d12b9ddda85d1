"""What all writing operators have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from monai.deploy.core import Fragment, Operator, OperatorSpec

from app.landmark_inference_operator import Result
from app.radiograph_operator import instance_uid
from app.run_record import RunRecord
from app.settings import Settings
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.writers.formats import output_writers

__all__ = ["Output", "ResultWriterOperator"]


@dataclass(frozen=True)
class Output:
    """Where the results of a run go; all writers share it.

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


class ResultWriterOperator(Operator):
    """Writes the results of all images in those formats of a subclass that the settings ask for.

    Named input:
        results: list of pairs of Radiograph and LandmarkSegmentation.

    Named output:
        results: the same, for the next writer: they work one after the other, so that the report can come last.

    Attributes:
        formats: keys of `monai_chexmask_u.writers.formats.FORMATS`.
    """

    formats: ClassVar[tuple[str, ...]]

    def __init__(self, fragment: Fragment, *args: Any, output: Output, **kwargs: Any) -> None:
        """Write to `output`."""
        self._output = output
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Declare the ports."""
        spec.input("results")
        spec.output("results")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Write the files, named after the images' SOP Instance UIDs."""
        results: list[Result] = op_input.receive("results")
        for radiograph, segmentation in results:
            uid = instance_uid(radiograph)
            formats = [key for key in self._output.settings.formats if key in self.formats]
            # One by one, so that what was written before a failure is known.
            for write in output_writers(
                segmentation, radiograph, self._output.folder, uid, formats, self._output.numbering
            ):
                with self._output.record.attempt(uid):
                    self._output.record.wrote(uid, [write()])
        op_output.emit(results, "results")
