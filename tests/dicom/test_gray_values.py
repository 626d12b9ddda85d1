"""A viewer shows through the presentation state what the reader took, whatever the header gave it to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicom_case import Case
from dicom_cases_gray import GRAY
from judges import is_available, rendered

from monai_chexmask_u.dicom.read import read_dicom
from monai_chexmask_u.dicom.write import write_object
from monai_chexmask_u.segmentation import LandmarkSegmentation

ACCEPTED = [case for case in GRAY if case.code is None]


@pytest.mark.parametrize("case", ACCEPTED, ids=[case.name for case in ACCEPTED])
def test_dcmtk_shows_what_the_reader_took(
    case: Case,
    result_for: Callable[..., LandmarkSegmentation],
    dciodvfy: Callable[[Path], list[str]],
    tmp_path: Path,
) -> None:
    if not is_available(rendered):
        pytest.skip("dcmp2pgm is not installed")
    path, state = case.make(tmp_path), tmp_path / "state.pr.dcm"
    radiograph = read_dicom(path)
    write_object("pr", result_for(radiograph), radiograph, state)
    assert dciodvfy(state) == []
    # Padding is black here, and what a viewer makes of it is its own affair.
    exposed = radiograph.pixels > 0
    shown = rendered(state, path)[exposed]
    assert np.corrcoef(shown, radiograph.pixels[exposed])[0, 1] > 0.98
