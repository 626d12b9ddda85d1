"""From radiographs to results: the operator that segments."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from monai.deploy.core import Fragment, Operator, OperatorSpec

from app.reading_operators import instance_uid
from app.run_record import RunRecord
from monai_chexmask_u.model import load_model
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.segmenter import Segmenter

__all__ = ["LandmarkInferenceOperator", "Result"]

Result = tuple[Radiograph, LandmarkSegmentation]

logger = logging.getLogger(__name__)


class LandmarkInferenceOperator(Operator):
    """Finds the landmarks with their uncertainty, on a GPU if there is one.

    It loads the bundle itself: the SDK's bundle operator needs a volume's affine matrix, which a radiograph has not,
    and hands on a single output.

    Named input:
        radiographs: list of Radiograph.

    Named output:
        results: list of pairs of Radiograph and LandmarkSegmentation.
    """

    def __init__(
        self, fragment: Fragment, *args: Any, model_path: Path | None, record: RunRecord, **kwargs: Any
    ) -> None:
        """Use the model at `model_path`, or the project's own if it is None, and report failures to `record`."""
        self._model_path = model_path
        self._record = record
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Declare the ports."""
        spec.input("radiographs")
        spec.output("results")

    def start(self) -> None:
        """Load the network once.

        Raises:
            CheckpointError: if there is no usable model.
            CalibrationError: if its calibration cannot be used.
        """
        self._segmenter = Segmenter(load_model(self._model_path))
        identity = self._segmenter.identity
        logger.info(
            "model %s %s, SHA-256 %s, calibration %s, on %s",
            identity.name,
            identity.version,
            identity.sha256,
            identity.calibration_sha256 or "none",
            self._segmenter.device,
        )

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Segment the images."""
        radiographs: list[Radiograph] = op_input.receive("radiographs")
        results: list[Result] = []
        for radiograph in radiographs:
            uid = instance_uid(radiograph)
            with self._record.attempt(uid):
                segmentation = self._segmenter.segment(radiograph)
                self._record.judged(uid, segmentation.reliability)
                results.append((segmentation.as_measured(radiograph), segmentation))
        op_output.emit(results, "results")
