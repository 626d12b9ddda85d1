"""Radiographs of one patient are known as such."""

from __future__ import annotations

from pathlib import Path

import pytest

from monai_chexmask_u.commands.calibrate import _radiographs
from monai_chexmask_u.data.patients import is_held_out, patients_of


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("00020440_000.png", "00020440"),
        ("00020440_017.jpg", "00020440"),
        ("person1234_bacteria_56.jpeg", "person1234"),
        ("IM-0006-0001.jpg", "IM-0006"),
        ("IM-0019-0001 (1).jpg", "IM-0019"),
        ("NORMAL2-IM-0006-0001.jpg", "NORMAL2-IM-0006"),
        ("JPCLN001.jpg", "JPCLN001"),
        ("scan_000.png", "scan_000.png"),
        ("00020440_000_copy.png", "00020440_000_copy.png"),
    ],
)
def test_names_of_public_data_sets_tell_the_patient(tmp_path: Path, name: str, patient: str) -> None:
    assert patients_of(tmp_path, [Path(name)]) == [patient]


def test_a_table_tells_it_first(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("patient_id,image_id\nanna,a\nanna,00000001_000\n,c\n")
    paths = [Path("a.png"), Path("00000001_000.png"), Path("c.png"), Path("d.png")]
    assert patients_of(tmp_path, paths) == ["anna", "anna", "c.png", "d.png"]
    (tmp_path / "data.csv").write_text("image,finding\na,none\n")
    assert patients_of(tmp_path, paths[:2]) == ["a.png", "00000001"]


def test_no_patient_is_learned_from_and_held_out(shared_data: Path) -> None:
    frontal = [shared_data / "nih", shared_data / "hannover", shared_data / "nih_more"]
    found = _radiographs(shared_data / "jsrt", frontal, [])
    learned = {item.patient for item in (*found.outlined, *found.frontal)}
    held_out = {item.patient for item in (*found.held_out, *found.held_out_frontal)}
    assert not learned & held_out
    assert len(held_out) > len(found.held_out) + 100
    hannover = [item for item in (*found.frontal, *found.held_out_frontal) if item.source == "hannover"]
    assert len({item.patient for item in hannover}) < len(hannover)


def test_a_share_of_the_patients_is_held_out_the_same_ones_each_time() -> None:
    patients = [f"{number:08d}" for number in range(2000)]
    third = {patient for patient in patients if is_held_out(patient, 0.3)}
    assert len(third) == pytest.approx(600, abs=60)
    assert third < {patient for patient in patients if is_held_out(patient, 0.5)}
    assert not any(is_held_out(patient, 0.0) for patient in patients)
    assert all(is_held_out(patient, 1.0) for patient in patients)
    assert [is_held_out(patient, 0.3) for patient in ("00000012", "anna", "bert")] == [True, False, True]
    assert all(is_held_out(f"/a/{name}", 0.3) is is_held_out(f"/b/c/{name}", 0.3) for name in patients)


def test_self_training_and_calibration_hold_out_the_same_patients(shared_data: Path) -> None:
    found = _radiographs(shared_data / "jsrt", [shared_data / "nih", shared_data / "hannover"], [])
    assert {item.patient for item in found.held_out_frontal} == {
        item.patient for item in (*found.frontal, *found.held_out_frontal) if is_held_out(item.patient, 0.3)
    }
