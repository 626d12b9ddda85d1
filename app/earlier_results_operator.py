"""Remove what an earlier run left of the images of this one."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import Fragment, Operator, OperatorSpec

from app.landmark_inference_operator import Result
from app.radiograph_operator import instance_uid
from app.result_writer_operator import Output
from monai_chexmask_u.archive.objects import is_uid
from monai_chexmask_u.writers.result_sets import check_replaceable, clear_results

__all__ = ["EarlierResultsOperator"]


class EarlierResultsOperator(Operator):
    """Clears the way for the writers: of an image, the output folder holds the results of one run or none.

    Results of images that were refused or failed go too. Files that this program did not write stay, and an image whose
    results would replace one fails.

    Named input:
        results: list of pairs of Radiograph and LandmarkSegmentation.

    Named output:
        results: those that can be written.
    """

    def __init__(self, fragment: Fragment, *args: Any, output: Output, **kwargs: Any) -> None:
        """Clear `output`."""
        self._output = output
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Declare the ports."""
        spec.input("results")
        spec.output("results")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Remove the files."""
        folder, record = self._output.folder, self._output.record
        results: list[Result] = op_input.receive("results")
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
        op_output.emit(kept, "results")
