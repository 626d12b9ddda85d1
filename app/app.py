"""The application: which operators there are, and what flows between them."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from monai.deploy.conditions import CountCondition
from monai.deploy.core import AppContext, Application, Operator

from app.landmark_inference_operator import LandmarkInferenceOperator
from app.reading_operators import FrontalChestSelectorOperator, RadiographOperator, StudyLoaderOperator
from app.result_operators import (
    WRITERS,
    DeliveryOperator,
    EarlierResultsOperator,
    Output,
    ResultWriterOperator,
    RunEndOperator,
)
from app.run_record import RECORD_NAME, RunRecord
from app.settings import Settings, read_settings
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.model import default_bundle
from monai_chexmask_u.writers.own_files import is_own_file
from monai_chexmask_u.writers.result_sets import output_folder

__all__ = ["ChestLandmarkApp"]

logger = logging.getLogger(__name__)


class ChestLandmarkApp(Application):
    """Segments every frontal chest radiograph of a study, with the uncertainty of each landmark.

    Args:
        argv: as the SDK wants it: the Python executable, the application, then the arguments (``-i``, ``-o``, ``-m``).
        settings: what to write; by default what the configuration file says.

    Attributes:
        record: what the run wrote, skipped and failed at.

    Raises:
        ValueError: if the configuration file is wrong.
    """

    def __init__(
        self, argv: list[str] | None = None, *args: Any, settings: Settings | None = None, **kwargs: Any
    ) -> None:
        """Start with an empty record."""
        self.record = RunRecord()
        self.settings = settings or read_settings([])[0]
        self.numbering = Numbering(reproducible=self.settings.reproducible_uids)
        super().__init__(argv, *args, **kwargs)

    def run(self) -> None:
        """Run the operators, while no other process writes into the output folder.

        Raises:
            FolderLockError: if one does.
            OSError: if the input cannot be read or the output cannot be written.
            ValueError: if the output holds a ``run.json`` of another program.
        """
        output = Path(Application.init_app_context(self.argv).output_path)
        with output_folder(output):
            remove_record(output)  # it would describe files that this run replaces
            super().run()

    def compose(self) -> None:
        """Connect the operators.

        Raises:
            OSError: if the input cannot be read.
        """
        context = Application.init_app_context(self.argv)
        output = Path(context.output_path)
        if self.settings.archive.source is not None:
            logger.info("the study comes from %s", self.settings.archive.source.name)

        loader = StudyLoaderOperator(
            self,
            CountCondition(self, 1),
            input_folder=existing_input(Path(context.input_path)),
            record=self.record,
            name="loader",
        )
        selector = FrontalChestSelectorOperator(self, record=self.record, name="selector")
        reader = RadiographOperator(self, record=self.record, name="reader")
        inference = LandmarkInferenceOperator(
            self, model_path=chosen_model(context), record=self.record, name="inference"
        )
        self.add_flow(loader, selector, {("files", "files")})
        self.add_flow(selector, reader, {("image_files", "image_files")})
        self.add_flow(reader, inference, {("radiographs", "radiographs")})
        self._add_writers(inference, Output(output, self.settings, self.numbering, self.record))

    def _add_writers(self, inference: Operator, output: Output) -> None:
        """Connect the writers that are needed one after the other, the report's last."""
        previous: Operator = EarlierResultsOperator(self, output=output, name="earlier results")
        self.add_flow(inference, previous, {("results", "results")})
        for name, possible in WRITERS.items():
            formats = [key for key in output.settings.formats if key in possible]
            if formats:
                writer = ResultWriterOperator(self, output=output, formats=formats, name=name)
                self.add_flow(previous, writer, {("results", "results")})
                previous = writer
        delivery = DeliveryOperator(self, output=output, name="delivery")
        end = RunEndOperator(self, output=output, name="run end")
        self.add_flow(previous, delivery, {("results", "results")})
        self.add_flow(delivery, end, {("results", "results")})


def remove_record(folder: Path) -> None:
    """Remove the record of an earlier run.

    Raises:
        ValueError: if the file is not this application's.
    """
    path = folder / RECORD_NAME
    if os.path.lexists(path):
        if not is_own_file(path, "json"):
            raise ValueError(f"{path} was not written by this program: move it away, or choose another folder with -o")
        path.unlink()


def existing_input(folder: Path) -> Path:
    """Return the input folder.

    Raises:
        NotADirectoryError: if there is none.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: there is no such folder; give the folder of a DICOM study with -i")
    return folder


def chosen_model(context: AppContext) -> Path | None:
    """Return the model's path as the user gave it, or None for the project's own.

    The SDK's `context.models` is not used, it wraps a bundle's folder as something else; nor is its default, any folder
    called ``models`` where the user happens to be.
    """
    if context.args.get("model"):
        return Path(context.args["model"])
    variable = os.environ.get("HOLOSCAN_MODEL_PATH")
    if not variable:
        return None
    path = Path(variable)
    # A MAP always sets the variable, to a folder beside the application that is missing if no model was packaged.
    packaged = Path(__file__).resolve().parents[1] / "models"
    return None if path == packaged and not path.exists() and default_bundle().exists() else path
