"""A viewer shows through the presentation state what the reader took, whatever the header gave it to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from support.cases.case import Case
from support.cases.gray import GRAY
from support.cases.tables import TABLES
from support.judges import gray_values

from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.pr import presentation_state
from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.dicom.write import write_object
from monai_chexmask_u.segmentation import LandmarkSegmentation

ACCEPTED = {case.name: case for case in (*GRAY, *TABLES) if case.code is None}
Shown = Callable[[Case], tuple[Path, list[str]]]


@pytest.fixture
def shown(result_for: Callable[..., LandmarkSegmentation], available: Callable[[Any], Any], tmp_path: Path) -> Shown:
    """Writes a presentation state of a case; gives its path and what DCMTK's viewer complains of."""

    def show(case: Case) -> tuple[Path, list[str]]:
        path, state = case.make(tmp_path), tmp_path / "state.pr.dcm"
        radiograph = read_dicom(path)
        write_object("pr", result_for(radiograph), SourceImage(radiograph), state, Numbering())
        return state, available(gray_values)(state, path, radiograph.pixels, radiograph.notes)

    return show


@pytest.mark.parametrize("name", ACCEPTED)
def test_dcmtk_shows_what_the_reader_took(name: str, shown: Shown, dciodvfy: Callable[[Path], list[str]]) -> None:
    state, complaints = shown(ACCEPTED[name])
    assert complaints == []
    assert dciodvfy(state) == []


@pytest.mark.parametrize(
    "name",
    [
        *("half_width", "several_windows", "exact_window", "sigmoid_window", "rescale"),
        *("modality_table", "modality_table_alone", "voi_table", "voi_table_in_bytes", "big_endian_voi_table"),
    ],
)
def test_dcmtk_shows_something_else_without_the_transformation(
    name: str, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presentation_state, "set_gray_values", lambda *_: None)
    assert shown(ACCEPTED[name])[1] != []


def test_a_rescale_that_is_left_out_makes_a_difference(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monai_chexmask_u.dicom.pr.gray_values._set_rescaling", lambda *_: None)
    assert shown(ACCEPTED["rescale"])[1] != []


def test_without_a_window_no_gray_values_are_stated(shown: Shown) -> None:
    state = pydicom.dcmread(shown(ACCEPTED["modality_table_alone"])[0])
    assert "SoftcopyVOILUTSequence" not in state
    assert state.ModalityLUTSequence[0].LUTDescriptor == [2**14, 0, 16]
