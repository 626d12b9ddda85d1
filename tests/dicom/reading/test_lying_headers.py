"""Radiographs whose headers say what they are not: the shipped model's verdict is what is left to stop them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from support.cases.case import package_file
from support.samples.dicom import make_dx, save, set_pixels

from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.model import load_model
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.segmenter import Segmenter

CAT = "deid_data/data/animals/cat.dcm"
ANIMAL = ("PatientSpeciesDescription", "PatientBreedDescription", "PatientSexNeutered")
LATERAL = ("003", "019", "028", "029", "036", "048", "060")


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter(load_model(), device="cpu")


@pytest.fixture(scope="module")
def cat() -> Path:
    """A DX whose header says CHEST and AP, of a cat that lies on its side."""
    pytest.importorskip("deid_data", reason="the package deid-data, which has a cat, is not installed")
    return package_file("deid-data", CAT)


def _without(names: tuple[str, ...], source: Path, target: Path) -> Path:
    dataset = dcmread(source)
    for name in names:
        delattr(dataset, name)
    return save(dataset, target)


@pytest.mark.parametrize("left", ANIMAL)
def test_a_cat_is_known_by_each_hint_of_its_header(cat: Path, tmp_path: Path, left: str) -> None:
    others = tuple(name for name in ANIMAL if name != left)
    with pytest.raises(RadiographError) as refused:
        read_dicom(_without(others, cat, tmp_path / "cat.dcm"))
    assert refused.value.code == "not_human"


def test_a_cat_without_a_hint_is_never_accepted(cat: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    radiograph = read_dicom(_without(ANIMAL, cat, tmp_path / "cat.dcm"))
    assert (radiograph.view, radiograph.notes) == ("AP", ("view_contradicted", "child", "spacing_from_imager"))
    assert segmenter.segment(radiograph).reliability.verdict in ("review", "reject")


@pytest.fixture(params=LATERAL)
def lateral(request: pytest.FixtureRequest, shared_data: Path, tmp_path: Path) -> Path:
    """A lateral chest whose header says PA."""
    image = Image.open(shared_data / "other_radiographs" / "images" / f"{request.param}.jpg").convert("L")
    dataset = make_dx()
    set_pixels(dataset, np.asarray(image))
    dataset.WindowCenter, dataset.WindowWidth = "128", "256"
    return save(dataset, tmp_path / "lateral.dcm")


def test_a_lateral_chest_that_says_pa_is_never_accepted(lateral: Path, segmenter: Segmenter) -> None:
    radiograph = read_dicom(lateral)
    assert radiograph.view == "PA"
    assert segmenter.segment(radiograph).reliability.verdict in ("review", "reject")
