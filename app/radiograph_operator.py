"""Read the selected radiographs."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import Fragment, Operator, OperatorSpec

from app.frontal_chest_selector_operator import ImageFile
from app.run_record import RunRecord
from monai_chexmask_u.dicom.read import read_dicom
from monai_chexmask_u.dicom.same_image import is_same_image
from monai_chexmask_u.radiograph import Radiograph, RadiographError

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
        radiographs: dict[str, Radiograph] = {}
        conflicting: set[str] = set()
        for file in files:
            with self._record.attempt(file.name):
                radiograph = read_dicom(file.path)
                uid = instance_uid(radiograph)
                first = radiographs.setdefault(uid, radiograph)
                if first is not radiograph:
                    if not is_same_image(first, radiograph):
                        conflicting.add(uid)
                    raise RadiographError("duplicate", "the study holds the image twice")
        for uid in conflicting:  # nobody can tell whose results they would be
            with self._record.attempt(uid):
                del radiographs[uid]
                message = "different images have this SOP Instance UID; find out which is right and send it alone"
                raise RadiographError("conflicting_identifiers", message)
        op_output.emit(list(radiographs.values()), "radiographs")


def instance_uid(radiograph: Radiograph) -> str:
    """Return the SOP Instance UID, which outputs are named after: it is unique and says nothing about the patient.

    The reader has checked that it is one, and no path to elsewhere.
    """
    return str(radiograph.header.SOPInstanceUID)
