"""Results as DICOM objects: `POST /infer/MODEL?image=ID&output=dicom_seg`, and `dicom_sr` for the report.

MONAI Label's own route makes a segmentation of a mask by a program that refuses projections, and has no report.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp
from typing import Final, Protocol

from fastapi import BackgroundTasks, HTTPException
from fastapi.responses import FileResponse
from monailabel.utils.others.generic import remove_file

from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.dicom.write import write_object
from monai_chexmask_u.networks.checkpoints import CheckpointError
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["DICOM_OUTPUTS", "SegmentingApp", "dicom_result"]

# By the value of `output`: kind of object, as `write_object` takes it.
DICOM_OUTPUTS: Final = {"dicom_seg": "seg", "dicom_sr": "sr"}


class SegmentingApp(Protocol):
    """What is needed of the app."""

    def segment(self, radiograph: Radiograph) -> LandmarkSegmentation:
        """Segment a radiograph with the model in use."""


def dicom_result(app: SegmentingApp, image: Path, output: str, tasks: BackgroundTasks) -> FileResponse:
    """Return the result for an image as a DICOM file, the one that the command line writes.

    Args:
        app: of the server.
        image: the radiograph's file.
        output: key of `DICOM_OUTPUTS`.
        tasks: run after the answer; they remove the file.

    Raises:
        HTTPException: 400 if the image is no DICOM file.
        RadiographError: if it cannot be segmented.
    """
    radiograph = read_radiograph(image)
    folder = Path(mkdtemp(prefix="chexmask-u-"))
    path = folder / f"{output}.dcm"
    try:
        source = SourceImage(radiograph)
        write_object(DICOM_OUTPUTS[output], app.segment(radiograph), source, path, Numbering())
    except Exception as error:
        remove_file(str(folder))
        if isinstance(error, ValueError) and not isinstance(error, CheckpointError):
            raise HTTPException(status_code=400, detail=f"{output}: {error}") from None
        raise
    tasks.add_task(remove_file, str(folder))
    return FileResponse(path, media_type="application/dicom", filename=path.name)
