"""Read the selected radiographs."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import Fragment, Operator, OperatorSpec

from app.frontal_chest_selector_operator import ImageFile
from app.run_record import RunRecord
from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.dicom.same_image import ImageKey, ImageRegister, image_key
from monai_chexmask_u.radiograph import Radiograph

__all__ = ["RadiographOperator", "instance_uid"]


class RadiographOperator(Operator):
    """Decodes the images to gray levels, upright or with a note how they lie, as the network needs them.

    Named input:
        image_files: list of ImageFile.

    Named output:
        radiographs: list of Radiograph, each image once.
    """

    def __init__(self, fragment: Fragment, *args: Any, record: RunRecord, **kwargs: Any) -> None:
        """Report what cannot be read to `record`."""
        self._record = record
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Declare the ports."""
        spec.input("image_files")
        spec.output("radiographs")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Read the images."""
        files: list[ImageFile] = op_input.receive("image_files")
        register, radiographs = ImageRegister(), list[tuple[ImageFile, ImageKey | None, Radiograph]]()
        for file in files:
            with self._record.attempt(file.name):
                radiograph = read_dicom(file.path)
                key = image_key(radiograph)
                register.note(key)
                radiographs.append((file, key, radiograph))
        taken: list[Radiograph] = []
        for file, key, radiograph in radiographs:
            with self._record.attempt(file.name):
                register.check(key)
                taken.append(radiograph)
        op_output.emit(taken, "radiographs")


def instance_uid(radiograph: Radiograph) -> str:
    """Return the SOP Instance UID, which outputs are named after: it is unique and says nothing about the patient.

    The reader has checked that it is one, and no path to elsewhere.
    """
    return str(radiograph.header.SOPInstanceUID)
