"""Files as people met them, from the file to every output, and into a data set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
import pydicom
import pytest
from numpy.typing import NDArray
from support import judges
from typer.testing import CliRunner

from monai_chexmask_u.cli import app
from monai_chexmask_u.writers.formats import FORMATS

REFUSED: Final = {"view_perfil": "not_frontal"}
NO_MILLIMETERS: Final = {"spacing_placeholder_one"}
SPACING: Final = {"spacing_differs_no_type": 0.87, "vindr": 0.9}
DICOM: Final = [key for key, each in FORMATS.items() if each.needs_dicom]
NAMES: Final = (
    *("baseline_8_bits_allocated_16", "j2k_jp2_boxes", "j2k_no_delimiter", "jls_signed_no_sign_bits", "junk_j2k"),
    *("junk_thin_j2k", "magnification_100", "padding_us_for_signed", "spacing_differs_no_type"),
    *("spacing_placeholder_one", "undamaged", "vindr", "voi_lut_14_bits_called_16"),
)
# Other gray levels, and so perhaps other landmarks, than those of the undamaged file.
OTHER_PIXELS: Final = {"padding_us_for_signed", "spacing_placeholder_one"}


@pytest.fixture(scope="module")
def results(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every output of every file, by the shipped model."""
    folder = tmp_path_factory.mktemp("met")
    arguments = ["segment", str(shared_data / "dicom_cases"), "-o", str(folder), "--write", ",".join(FORMATS)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1, done.output  # one file is refused
    for code in REFUSED.values():
        assert f"[{code}]" in done.stderr
    return folder


@pytest.fixture(scope="module")
def records(results: Path) -> Mapping[str, dict[str, Any]]:
    paths = sorted(set(results.glob("*.json")) - set(results.glob("*.mrk.json")))
    return {path.stem: json.loads(path.read_text()) for path in paths}


def test_all_but_the_lateral_one_are_segmented(records: Mapping[str, dict[str, Any]]) -> None:
    assert sorted(records) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_those_of_the_source_that_counts(name: str, records: Mapping[str, dict[str, Any]]) -> None:
    image, organs = records[name]["image"], records[name]["organs"]
    if name in NO_MILLIMETERS:
        assert image["spacing_mm"] is None
        assert "spacing_invalid" in image["notes"]
        assert all(organ["area_mm2"] is None for organ in organs.values())
    else:
        assert image["spacing_mm"] == pytest.approx([SPACING.get(name, 1.0)] * 2)
        assert all(500 < organ["area_mm2"] < 60_000 for organ in organs.values())


@pytest.mark.parametrize("name", sorted(set(NAMES) - OTHER_PIXELS))
def test_landmarks_are_those_of_the_undamaged_file(name: str, records: Mapping[str, dict[str, Any]]) -> None:
    def landmarks(of: str) -> NDArray[np.float64]:
        return np.array([(each["x"], each["y"]) for each in records[of]["landmarks"]])

    assert np.abs(landmarks(name) - landmarks("undamaged")).max() < 1


@pytest.mark.parametrize("name", NAMES)
def test_every_dicom_object_contents_its_judges(name: str, results: Path) -> None:
    paths = {key: results / f"{name}{FORMATS[key].suffix}" for key in DICOM}
    if name == "vindr":
        assert not any(path.exists() for path in paths.values())
        return
    for path in paths.values():
        complaints = {each.__name__: each(path) for each in judges.judges_of(path) if judges.is_available(each)}
        assert complaints == {judge: [] for judge in complaints}, path.name


def test_no_object_has_sizes_that_no_chest_has(results: Path) -> None:
    state, report = (
        pydicom.dcmread(results / f"spacing_placeholder_one{FORMATS[kind].suffix}") for kind in ("pr", "sr")
    )
    assert "PresentationPixelSpacing" not in state.DisplayedAreaSelectionSequence[0]
    assert "mm2" not in str(report)
    assert "mm2" in str(pydicom.dcmread(results / f"undamaged{FORMATS['sr'].suffix}"))


def test_all_become_rows_of_a_data_set(shared_data: Path, tmp_path: Path) -> None:
    arguments = ["dataset", "build", "--images", str(shared_data / "dicom_cases"), "-o", str(tmp_path / "set")]
    done = CliRunner().invoke(app, [*arguments, "--workers", "1"])
    assert done.exit_code in (0, 1), done.output
    rows = {Path(row["image_path"]).stem: row for row in pq.read_table(tmp_path / "set" / "data").to_pylist()}
    assert sorted(rows) == sorted(NAMES)
    for name in NO_MILLIMETERS:
        assert rows[name]["spacing_row_mm"] is None
        assert "spacing_invalid" in rows[name]["notes"]
    assert "uid_missing" in rows["vindr"]["notes"]
