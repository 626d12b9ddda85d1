"""From a folder to radiographs: the operators that list the files of a study, choose the frontal ones, and read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.deploy.core import Fragment, Operator, OperatorSpec

from app.run_record import RunRecord
from monai_chexmask_u.archive.objects import is_uid
from monai_chexmask_u.dicom.reading.read import ExaminedFile, ParsedFile, examine_file, parse_file
from monai_chexmask_u.dicom.same_image import ImageKey, ImageRegister, image_key
from monai_chexmask_u.files.folder_tree import files_below
from monai_chexmask_u.radiograph import Radiograph, RadiographError

__all__ = [
    "FrontalChestSelectorOperator",
    "ImageFile",
    "RadiographOperator",
    "StudyLoaderOperator",
    "instance_uid",
]


@dataclass(frozen=True)
class ImageFile:
    """A file of a frontal chest radiograph, and what it is called in the log."""

    examined: ExaminedFile
    name: str


class StudyLoaderOperator(Operator):
    """Lists the files of a study, in folders of any depth.

    The SDK's loader is not used: it stops at the first file whose header is broken, follows links in circles, waits for
    pipes, inflates a file whatever it grows to, and of the images of a series that have the same ImagePositionPatient
    it keeps a single one, which is meant for slices. Hidden files and folders are left out, and so are outboxes of
    results and the index of a medium, DICOMDIR.

    Named output:
        files: list of Path.
    """

    def __init__(self, fragment: Fragment, *args: Any, input_folder: Path, record: RunRecord, **kwargs: Any) -> None:
        """List `input_folder`, and report to `record` which folders in it cannot be listed."""
        self._input_folder = input_folder
        self._record = record
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Declare the port."""
        spec.output("files")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """List the files."""
        found = files_below(
            self._input_folder, wanted=lambda file: file.name.upper() != "DICOMDIR", on_problem=self._not_listed
        )
        op_output.emit([path for path, _ in found], "files")

    def _not_listed(self, folder: Path, problem: RadiographError) -> None:
        with self._record.attempt(folder.name):
            raise RadiographError(problem.code, "the folder cannot be listed; check its permissions") from problem


class FrontalChestSelectorOperator(Operator):
    """Keeps every image, of all series, whose header the library takes for a frontal chest radiograph.

    The SDK's series selector and volume operator are not used: they look at the first image of a series only, and a
    series that holds a PA and a lateral view, as is common, makes them fail.

    Named input:
        files: list of Path.

    Named output:
        image_files: list of ImageFile.
    """

    def __init__(self, fragment: Fragment, *args: Any, record: RunRecord, **kwargs: Any) -> None:
        """Report what is left out to `record`."""
        self._record = record
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Declare the ports."""
        spec.input("files")
        spec.output("image_files")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Select the images."""
        selected = []
        for parsed in self._parsed(op_input.receive("files")):
            name = _name_of(parsed)
            with self._record.attempt(name):
                selected.append(ImageFile(examine_file(parsed), name))
        op_output.emit(selected, "image_files")

    def _parsed(self, files: list[Path]) -> Iterator[ParsedFile]:
        for path in files:
            parsed = None
            with self._record.attempt(path.name):
                parsed = parse_file(path)
            if parsed is not None:
                yield parsed


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
                radiograph = file.examined.radiograph()
                if radiograph.why_no_dicom:
                    message = f"results cannot refer to it ({radiograph.why_no_dicom}); export the image again"
                    raise RadiographError("missing_uid", message)
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

    Examining the header has shown that it is one, and no path to elsewhere.
    """
    return str(radiograph.header.SOPInstanceUID)


def _name_of(parsed: ParsedFile) -> str:
    """Name an image by its UID; a value that is no UID may be anything, a patient's name too."""
    try:
        uid = str(parsed.dataset.get("SOPInstanceUID"))
    except Exception:  # a broken value makes pydicom raise nearly anything
        uid = ""
    return uid if is_uid(uid) else parsed.path.name
