"""Studies as they come: several views and series, mixed modalities, duplicates, two patients, nothing usable."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset
from support.processes.deploy_sdk import NEEDS_SDK
from support.samples.dicom import make_cr, make_dx, save
from support.samples.studies import in_study, make_ct, make_lateral

from monai_chexmask_u.dicom.reading import read

pytestmark = [pytest.mark.deploy, NEEDS_SDK]

RunApp = Callable[..., int]


def record_of(output: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((output / "run.json").read_text())
    return record


def written(output: Path, image: FileDataset, kind: str) -> Dataset:
    return pydicom.dcmread(output / f"{image.SOPInstanceUID}.{kind}.dcm", stop_before_pixels=True)


def test_several_views_series_and_modalities_of_one_study(
    study: Path, output: Path, bundle: Path, run_app: RunApp
) -> None:
    first = make_dx()
    same_series, portable = in_study(make_dx(seed=1), first), make_cr()
    portable.StudyInstanceUID = first.StudyInstanceUID  # a series of its own
    lateral, slices = in_study(make_lateral(), first), [in_study(make_ct(), first) for _ in range(2)]
    for number, image in enumerate([first, same_series, portable, lateral, *slices]):
        save(image, study / f"{number}.dcm")
    save(first, study / "a copy.dcm")

    assert run_app("-i", study, "-o", output, "-m", bundle) == 0
    frontal = [first, same_series, portable]
    for kind, modality in (("seg", "SEG"), ("pr", "PR"), ("sr", "SR")):
        objects = [written(output, image, kind) for image in frontal]
        assert {item.Modality for item in objects} == {modality}
        assert {item.StudyInstanceUID for item in objects} == {first.StudyInstanceUID}
        assert len({item.SeriesInstanceUID for item in objects}) == 1
        assert sorted(item.InstanceNumber for item in objects) == [1, 2, 3]
        assert len({item.SOPInstanceUID for item in objects}) == 3
    record = record_of(output)
    assert record["skipped"] == {"wrong_modality": 2, "not_frontal": 1, "duplicate": 1}
    skipped = record["images"][lateral.SOPInstanceUID]
    assert (skipped["outcome"], skipped["code"]) == ("skipped", "not_frontal")
    assert "lateral" in skipped["message"]
    assert {uid for uid, image in record["images"].items() if image["outcome"] == "segmented"} == {
        image.SOPInstanceUID for image in frontal
    }


def test_two_patients_in_one_folder_are_kept_apart(study: Path, output: Path, bundle: Path, run_app: RunApp) -> None:
    first, second, misfiled = make_dx(), make_dx(seed=1), make_dx(seed=2)
    second.PatientID, second.PatientName = "SYN-0002", "Other^Person"
    misfiled.PatientID, misfiled.PatientName = "SYN-0003", "Third^Person"
    misfiled.StudyInstanceUID = first.StudyInstanceUID  # another patient's image in the first one's study
    images = [first, second, misfiled]
    for number, image in enumerate(images):
        save(image, study / f"{number}.dcm")
    assert run_app("-i", study, "-o", output, "-m", bundle) == 0
    for kind in ("seg", "pr", "sr"):
        objects = [written(output, image, kind) for image in images]
        assert [item.PatientID for item in objects] == ["SYN-0001", "SYN-0002", "SYN-0003"]
        assert [item.StudyInstanceUID for item in objects] == [image.StudyInstanceUID for image in images]
        assert len({item.SeriesInstanceUID for item in objects}) == 3


def test_different_images_with_one_identifier_are_refused_both(
    study: Path, output: Path, bundle: Path, run_app: RunApp, capfd: pytest.CaptureFixture[str]
) -> None:
    good, first, second = make_dx(), make_dx(seed=1), make_dx(seed=2)
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = first.SOPInstanceUID
    second.StudyInstanceUID, second.SeriesInstanceUID = first.StudyInstanceUID, first.SeriesInstanceUID
    assert not np.array_equal(first.pixel_array, second.pixel_array)
    for number, image in enumerate([good, first, second]):
        save(image, study / f"{number}.dcm")
    assert run_app("-i", study, "-o", output, "-m", bundle) == 1
    assert f"failed {first.SOPInstanceUID}: different images have this SOP Instance UID" in capfd.readouterr().err
    assert {path.name.partition(".json")[0] for path in output.glob("*.json")} == {good.SOPInstanceUID, "run"}
    assert record_of(output)["images"][first.SOPInstanceUID]["code"] == "conflicting_identifiers"


def test_a_failure_is_recorded_beside_a_result_of_the_same_name(
    study: Path, output: Path, bundle: Path, run_app: RunApp
) -> None:
    image = make_dx()
    content = save(image, study / "2 whole.dcm").read_bytes()
    (study / "1 cut.dcm").write_bytes(content[:-100_000])
    assert run_app("-i", study, "-o", output, "-m", bundle) == 1
    record = record_of(output)
    assert [failure["code"] for failure in record["failures"]] == ["truncated"]
    assert record["images"][image.SOPInstanceUID]["outcome"] == "segmented"


def test_record_of_a_run_holds_no_patient_data(study: Path, output: Path, bundle: Path, run_app: RunApp) -> None:
    save(make_dx(), study / "1.dcm")
    (study / "Synthetic.txt").write_text("notes")
    assert run_app("-i", study, "-o", output, "-m", bundle) == 0
    text = (output / "run.json").read_text()
    assert "SYN-0001" not in text
    assert "Synthetic^Chest" not in text


def test_what_is_larger_than_any_radiograph_is_refused(
    study: Path, output: Path, bundle: Path, run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monai_chexmask_u.dicom.reading.read.MAX_BYTES", 1_000_000)
    save(make_dx(), study / "good.dcm")
    large, deflated = make_dx(rows=1000, columns=1000), make_dx(rows=1000, columns=1000)
    save(large, study / "large.dcm")
    deflated.PixelData = bytes(2_000_000)
    deflated.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    assert save(deflated, study / "bomb.dcm").stat().st_size < 10_000
    assert run_app("-i", study, "-o", output, "-m", bundle) == 1
    failures = {failure["name"]: failure["code"] for failure in record_of(output)["failures"]}
    assert failures == {"bomb.dcm": "too_large", large.SOPInstanceUID: "too_large"}


def test_each_file_is_parsed_and_examined_once_and_only_a_chosen_one_decoded(
    study: Path, output: Path, bundle: Path, run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Counter[str]()

    def counted(module: ModuleType, name: str) -> None:
        step = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, **options: (steps.update([name]), step(*args, **options))[1])

    for name in ("dcmread", "examine", "displayed_pixels"):
        counted(read, name)
    save(make_dx(), study / "1.dcm")
    save(make_lateral(), study / "2.dcm")
    assert run_app("-i", study, "-o", output, "-m", bundle, "--write", "json") == 0
    assert steps == {"dcmread": 2, "examine": 2, "displayed_pixels": 1}


def test_nothing_usable_is_recorded(study: Path, output: Path, bundle: Path, run_app: RunApp) -> None:
    lateral = make_lateral()
    save(lateral, study / "1.dcm")
    assert run_app("-i", study, "-o", output, "-m", bundle) == 1
    assert record_of(output)["images"][lateral.SOPInstanceUID]["code"] == "not_frontal"
    assert [path.name for path in output.iterdir()] == ["run.json"]


def test_reproducible_identifiers_are_the_same_in_the_next_run(
    study: Path, output: Path, bundle: Path, run_app: RunApp, tmp_path: Path
) -> None:
    image = make_dx()
    save(image, study / "1.dcm")
    outputs = [output, tmp_path / "again", tmp_path / "new"]
    for folder, options in zip(outputs, (["--reproducible-uids"], ["--reproducible-uids"], []), strict=True):
        assert run_app("-i", study, "-o", folder, "-m", bundle, *options) == 0
    for kind in ("seg", "pr", "sr"):
        first, again, new = (written(folder, image, kind) for folder in outputs)
        assert (first.SOPInstanceUID, first.SeriesInstanceUID) == (again.SOPInstanceUID, again.SeriesInstanceUID)
        assert first.SOPInstanceUID != new.SOPInstanceUID
        assert first.SeriesInstanceUID != new.SeriesInstanceUID
