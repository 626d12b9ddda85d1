"""Find the frontal chest radiographs of a study."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.deploy.core import Fragment, Operator, OperatorSpec
from monai.deploy.core.domain import DICOMStudy

from app.run_record import RunRecord
from monai_chexmask_u.archive.objects import is_uid
from monai_chexmask_u.dicom.reading.header import examine

__all__ = ["FrontalChestSelectorOperator", "ImageFile"]


@dataclass(frozen=True)
class ImageFile:
    """A DICOM file, and what it is called in the log."""

    path: Path
    name: str


class FrontalChestSelectorOperator(Operator):
    """Keeps every image, of all series, whose header the library takes for a frontal chest radiograph.

    The SDK's series selector and volume operator are not used: they look at the first image of a series only, and a
    series that holds a PA and a lateral view, as is common, makes them fail.

    Named input:
        dicom_study_list: list of DICOMStudy.
        unread_files: list of Path; passed on, since the library reads more than the SDK and knows the reason if not.

    Named output:
        image_files: list of ImageFile.
    """

    def __init__(self, fragment: Fragment, *args: Any, record: RunRecord, **kwargs: Any) -> None:
        """Report what is left out to `record`."""
        self._record = record
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Declare the ports."""
        spec.input("dicom_study_list")
        spec.input("unread_files")
        spec.output("image_files")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Select the images."""
        selected = []
        for dataset in _datasets(op_input.receive("dicom_study_list")):
            image = _named(Path(dataset.filename), str(dataset.SOPInstanceUID))
            with self._record.attempt(image.name), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydicom's quote values, and a value may be the patient's
                examine(dataset)
                selected.append(image)
        selected += [ImageFile(path, path.name) for path in op_input.receive("unread_files")]
        op_output.emit(selected, "image_files")


def _datasets(studies: list[DICOMStudy]) -> Iterator[Any]:
    """Walk all series and instances."""
    for study in studies:
        for series in study.get_all_series():
            for instance in series.get_sop_instances():
                yield instance.get_native_sop_instance()


def _named(path: Path, uid: str) -> ImageFile:
    """Name an image by its UID; a value that is no UID may be anything, a patient's name too."""
    return ImageFile(path, uid if is_uid(uid) else path.name)
