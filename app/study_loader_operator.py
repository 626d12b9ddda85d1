"""Load a study: the SDK's loader, made safe for damaged files and for projection images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core import Fragment, OperatorSpec
from monai.deploy.core.domain import DICOMStudy
from monai.deploy.operators import DICOMDataLoaderOperator

from app.run_record import RunRecord
from monai_chexmask_u.dicom.reading.read import is_bounded
from monai_chexmask_u.files.folder_tree import files_below
from monai_chexmask_u.radiograph import RadiographError

__all__ = ["StudyLoaderOperator"]


class StudyLoaderOperator(DICOMDataLoaderOperator):
    """Loads every DICOM file below a folder, one by one.

    The SDK's loader stops at the first file whose header is broken, drops files without a word, and of the images of a
    series that have the same ImagePositionPatient it keeps a single one, which is meant for slices. Hidden files and
    folders are left out, and so are outboxes of results.

    Named output:
        dicom_study_list: list of DICOMStudy, one per file.
        unread_files: list of Path, the files that the SDK's loader took no image from.
    """

    UNREAD = "unread_files"

    def __init__(self, fragment: Fragment, *args: Any, input_folder: Path, record: RunRecord, **kwargs: Any) -> None:
        """Load from `input_folder`, and report what cannot be listed; an empty one is for the selector to report."""
        self._unread: list[Path] = []
        self._record = record
        super().__init__(fragment, *args, input_folder=input_folder, must_load=False, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Add the output for the files that were not loaded."""
        super().setup(spec)
        spec.output(self.UNREAD)

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Load the files."""
        self._unread = []
        super().compute(op_input, op_output, context)
        op_output.emit(self._unread, self.UNREAD)

    def _list_files(self, path: Path, files: list[str]) -> None:
        """List files as the library does; the SDK's loader follows links in circles, and waits for pipes."""
        below = files_below(Path(path), wanted=lambda file: True, on_problem=self._not_listed)
        files.extend(str(file) for file, _ in below)

    def _not_listed(self, folder: Path, problem: RadiographError) -> None:
        with self._record.attempt(folder.name):
            raise RadiographError(problem.code, "the folder cannot be listed; check its permissions") from problem

    def _load_data(self, files: list[str]) -> list[DICOMStudy]:
        studies = []
        for file in sorted(files):
            loaded = self._load_file(file)
            studies += loaded
            if not loaded and Path(file).name.upper() != "DICOMDIR":
                self._unread.append(Path(file))
        return studies

    def _load_file(self, file: str) -> list[DICOMStudy]:
        if not is_bounded(Path(file)):  # the SDK's loader would inflate it, whatever it grows to
            return []
        try:
            loaded: list[DICOMStudy] = super()._load_data([file])
        except Exception:  # a broken header makes pydicom raise nearly anything
            return []
        return loaded
