from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, decollate_batch
from monai.transforms import Compose
from support.samples.dicom import make_dx, save, set_pixels

from monai_chexmask_u.inferers import LandmarkUncertaintyInferer
from monai_chexmask_u.model import load_model
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.transforms import LoadRadiographd, ToNetworkFramed
from monai_chexmask_u.writers.formats import write_outputs
from monai_chexmask_u.writers.save import SaveLandmarkSegmentationd, ToLandmarkSegmentationd

FORMATS = ["json", "csv", "mask"]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A normal image, and one with a black border, no square pixels, and the patient mirrored and upside down."""
    folder = tmp_path_factory.mktemp("images")
    turned = make_dx(rows=60, columns=90, spacing=(0.3, 0.2), seed=1)
    turned.PatientOrientation = ["R", "H"]
    set_pixels(turned, np.pad(turned.pixel_array // 2 + 4096, ((10, 20), (5, 40))), bits=14)
    return [save(make_dx(rows=80, columns=64), folder / "a.dcm"), save(turned, folder / "b.dcm")]


def run(images: list[Path], bundle: Path, folder: Path, *, names: bool, crop_border: bool = False) -> list[Any]:
    """Run the pipeline as the bundle's inference does, both images in one batch."""
    load = Compose([LoadRadiographd("image"), ToNetworkFramed("image", 64, crop_border=crop_border)])
    data = [{"image": str(path)} | ({"name": f"{path.stem}-1"} if names else {}) for path in images]
    batch = next(iter(DataLoader(Dataset(data, load), batch_size=2)))
    model = load_model(bundle)
    examiner = model.calibration.examiner if model.calibration else None
    batch["pred"] = LandmarkUncertaintyInferer(5, seed=3, examiner=examiner)(batch["image"], model.network)
    finish = Compose(
        [
            ToLandmarkSegmentationd("pred", str(bundle), crop_border=crop_border),
            SaveLandmarkSegmentationd("segmented", str(folder), FORMATS),
        ]
    )
    return [finish(item) for item in decollate_batch(batch)]


@pytest.mark.parametrize("crop_border", [False, True])
@pytest.mark.parametrize("calibrated", [False, True])
def test_writes_the_files_that_the_segmenter_writes(
    images: list[Path],
    tiny_bundle: Path,
    calibrated_bundle: Path,
    tmp_path: Path,
    crop_border: bool,
    calibrated: bool,
) -> None:
    bundle = calibrated_bundle if calibrated else tiny_bundle
    run(images, bundle, tmp_path / "pipeline", names=False, crop_border=crop_border)
    (tmp_path / "direct").mkdir()
    segmenter = Segmenter(load_model(bundle), num_samples=5, seed=3, device="cpu", crop_border=crop_border)
    for path in images:
        radiograph = read_radiograph(path)
        write_outputs(segmenter.segment(radiograph), radiograph, tmp_path / "direct", path.stem, FORMATS)
    record = json.loads((tmp_path / "direct" / "a.json").read_text())
    assert (record["model"]["calibration_sha256"] is not None) == bool(record["reliability"]["scores"]) == calibrated
    names = sorted(path.name for path in (tmp_path / "direct").iterdir())
    assert len(names) == 6
    assert sorted(path.name for path in (tmp_path / "pipeline").iterdir()) == names
    for name in names:
        _assert_alike(tmp_path / "pipeline" / name, tmp_path / "direct" / name)


def _assert_alike(actual: Path, expected: Path) -> None:
    """Compare texts number by number: a batch of two adds in another order than a batch of one."""
    if actual.suffix == ".png":
        assert actual.read_bytes() == expected.read_bytes()
        return
    ours, theirs = (path.read_text().replace(",", " ").split() for path in (actual, expected))
    assert len(ours) == len(theirs) > 500
    for one, other in zip(ours, theirs, strict=True):
        try:
            number = float(other)
        except ValueError:
            assert one == other
        else:
            assert float(one) == pytest.approx(number, rel=1e-3, abs=1e-4)


def test_an_item_gets_the_mask_the_record_and_the_segmentation(
    images: list[Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    items = run(images, tiny_bundle, tmp_path / "new" / "folder", names=True)
    assert [sorted(item) for item in items] == [["image", "name", "pred", "result", "segmented"]] * 2
    for path, item in zip(images, items, strict=True):
        assert item["pred"].dtype == torch.uint8
        np.testing.assert_array_equal(item["pred"].T, item["segmented"][0].label_mask())
        record = json.loads((tmp_path / "new" / "folder" / f"{path.stem}-1.json").read_text())
        assert record["image"].pop("path") == str(path)
        assert json.loads(json.dumps(item["result"])) == record


def test_a_format_that_nobody_knows_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown output format bmp; choose from json"):
        SaveLandmarkSegmentationd("segmented", str(tmp_path), ["json", "bmp"])
    assert SaveLandmarkSegmentationd("segmented", str(tmp_path), "mask, json").formats == ["json", "mask"]


def test_files_of_one_name_do_not_replace_each_other(images: list[Path], tiny_bundle: Path, tmp_path: Path) -> None:
    items = run(images, tiny_bundle, tmp_path / "first", names=False)
    results = [item["segmented"] for item in items]
    save_results = SaveLandmarkSegmentationd("segmented", str(tmp_path / "out"), ["json"])
    for segmentation, radiograph in results:
        radiograph = replace(radiograph, path=tmp_path / radiograph.path.stem / "radiograph.dcm")
        for _ in range(2):  # the same image again has its own name
            save_results({"segmented": (segmentation, radiograph)})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["radiograph-2.json", "radiograph.json"]


def test_names_of_a_data_list_are_made_safe(images: list[Path], tiny_bundle: Path, tmp_path: Path) -> None:
    (item, _) = run(images, tiny_bundle, tmp_path / "first", names=False)
    SaveLandmarkSegmentationd("segmented", str(tmp_path / "out"), ["json"])(item | {"name": "../../etc/radiograph"})
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["_._.._etc_radiograph.json"]


def test_results_of_an_earlier_run_go_with_the_new_ones(images: list[Path], tiny_bundle: Path, tmp_path: Path) -> None:
    (item, _) = run(images, tiny_bundle, tmp_path / "out", names=False)
    SaveLandmarkSegmentationd("segmented", str(tmp_path / "out"), ["json"])(item)
    assert sorted(path.name for path in tmp_path.glob("out/a.*")) == ["a.json"]


def test_a_file_that_changes_between_segmenting_and_writing_is_refused(
    images: list[Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    path = tmp_path / "radiograph.dcm"
    path.write_bytes(images[0].read_bytes())
    load = Compose([LoadRadiographd("image"), ToNetworkFramed("image", 64)])
    batch = next(iter(DataLoader(Dataset([{"image": str(path)}], load), batch_size=1)))
    batch["pred"] = LandmarkUncertaintyInferer(5)(batch["image"], load_model(tiny_bundle).network)
    save(make_dx(rows=80, columns=64, seed=7), path)
    (item,) = decollate_batch(batch)
    with pytest.raises(RadiographError, match="the file has changed since the run began"):
        ToLandmarkSegmentationd("pred", str(tiny_bundle))(item)
