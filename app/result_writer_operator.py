"""What all writing operators have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from monai.deploy.core import Fragment, Operator, OperatorSpec

from app.landmark_inference_operator import Result
from app.radiograph_operator import instance_uid
from app.run_record import RunRecord
from monai_chexmask_u.writers.formats import write_outputs

__all__ = ["ResultWriterOperator"]


class ResultWriterOperator(Operator):
    """Writes the results of all images in the formats that a subclass names.

    Named input:
        results: list of pairs of Radiograph and LandmarkSegmentation.

    Attributes:
        formats: keys of `monai_chexmask_u.writers.formats.FORMATS`.
    """

    formats: ClassVar[tuple[str, ...]]

    def __init__(self, fragment: Fragment, *args: Any, output_folder: Path, record: RunRecord, **kwargs: Any) -> None:
        """Write to `output_folder`, which exists, and report to `record`."""
        self._output_folder = output_folder
        self._record = record
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Declare the port."""
        spec.input("results")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Write the files, named after the images' SOP Instance UIDs."""
        results: list[Result] = op_input.receive("results")
        for radiograph, segmentation in results:
            uid = instance_uid(radiograph)
            for key in self.formats:  # one by one, so that what was written before a failure is known
                with self._record.attempt(uid):
                    self._record.wrote(write_outputs(segmentation, radiograph, self._output_folder, uid, [key]))
