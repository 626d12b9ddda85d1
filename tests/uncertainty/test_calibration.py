from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from calibration_samples import CRITERIA, make_calibration, make_limits
from hypothesis import given
from hypothesis import strategies as st

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, RIGHT_LUNG
from monai_chexmask_u.networks import Examiner, HybridGNet
from monai_chexmask_u.uncertainty import Limit
from monai_chexmask_u.uncertainty.calibration import (
    FORMAT,
    CalibrationError,
    read_calibration,
    write_calibration,
)

WEIGHTS = "ab" * 32
CALIBRATION = make_calibration(WEIGHTS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A calibration file that is in order."""
    path = tmp_path / "model.calibration.pt"
    write_calibration(make_calibration(WEIGHTS), path)
    return path


def refused(path: Path, *said: str, weights: str = WEIGHTS) -> None:
    with pytest.raises(CalibrationError, match=re.escape(str(path))) as error:
        read_calibration(path, weights)
    assert "\n" not in str(error.value)
    for words in said:
        assert words in str(error.value)


def test_calibration_round_trips(tmp_path: Path) -> None:
    limits = make_limits(1.0, 2.0, combined=Limit(0.5), flatness=Limit(-math.inf, math.inf))
    record = {"films": {"JSRT": 20}, "notes": ["ü", None, True, 0.1]}
    factors = {"right_lung": 1.25, "left_lung": math.inf, "heart": 0.1}
    written = make_calibration(WEIGHTS, limits=limits, record=record, radius_factors=factors)
    write_calibration(written, tmp_path / "c.pt")
    read = read_calibration(tmp_path / "c.pt", WEIGHTS)
    assert (read.limits, read.record, read.radius_factors) == (limits, record, factors)
    assert read.weights_sha256 == WEIGHTS
    assert read.sha256 == hashlib.sha256((tmp_path / "c.pt").read_bytes()).hexdigest()
    assert not read.examiner.training
    state = written.examiner.state_dict()
    assert read.examiner.state_dict().keys() == state.keys()
    for name, value in read.examiner.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0)


def test_latent_size_follows_from_the_file(tmp_path: Path) -> None:
    write_calibration(make_calibration(WEIGHTS, examiner=Examiner(16)), tmp_path / "c.pt")
    assert read_calibration(tmp_path / "c.pt", WEIGHTS).examiner.latent.mean.shape == (16,)


def test_numpy_numbers_do_no_harm(tmp_path: Path) -> None:
    limits = make_limits(combined=Limit(*np.array([0.25, 0.75])))
    factors = dict(zip(("right_lung", "left_lung", "heart"), np.array([1.0, 2.0, 3.0]), strict=True))
    written = make_calibration(WEIGHTS, limits=limits, radius_factors=factors, record={"mean": np.float64(0.5)})
    write_calibration(written, tmp_path / "c.pt")
    read = read_calibration(tmp_path / "c.pt", WEIGHTS)
    assert (read.limits, read.radius_factors, read.record) == (limits, factors, {"mean": 0.5})


def test_a_record_that_cannot_be_written_leaves_the_old_file(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_calibration(make_calibration(WEIGHTS, record={"a": object()}), path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_calibration_of_other_weights_is_refused(path: Path) -> None:
    refused(path, "other weights (abababababab, not cdcdcdcdcdcd)", weights="cd" * 32)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_file_that_is_cut_off_is_refused(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(path, "is no calibration, or is broken")


@pytest.mark.parametrize(
    "content",
    [{}, [], torch.zeros(3), {"format": "chexmask-u-calibration/0"}, {"format": None}, HybridGNet(64).state_dict()],
    ids=["empty", "list", "tensor", "old", "none", "weights"],
)
def test_another_torch_file_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "c.pt")
    refused(tmp_path / "c.pt", f"no calibration of this version ({FORMAT})")


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"format": FORMAT, "weights_sha256": WEIGHTS, "record": Path("x")}, tmp_path / "c.pt")
    refused(tmp_path / "c.pt", "is no calibration, or is broken")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "absent.pt", "cannot be read (No such file or directory)")
    refused(tmp_path, "cannot be read (Is a directory)")


def changed(path: Path, key: str, value: Any) -> None:
    content = torch.load(path, weights_only=True)
    content[key] = value
    torch.save(content, path)


@pytest.mark.parametrize("key", ["weights_sha256", "examiner", "error_factors", "radius_factors", "limits", "record"])
@pytest.mark.parametrize("value", ["absent", None, 5, [1, 2], "text", {}])
def test_a_missing_or_wrong_part_is_refused(path: Path, key: str, value: Any) -> None:
    content = torch.load(path, weights_only=True)
    content[key] = value
    if value == "absent":
        del content[key]
    torch.save(content, path)
    if (key, value) == ("record", {}):
        assert read_calibration(path, WEIGHTS).record == {}
    else:
        refused(path, "other weights" if key == "weights_sha256" else "is incomplete")


@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion_needs_a_limit(path: Path, criterion: str) -> None:
    limits = make_limits().as_dict()
    del limits[criterion]
    changed(path, "limits", limits)
    refused(path, "is incomplete")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("limits", make_limits().as_dict() | {"combined": [2.0, 1.0]}),
        ("limits", make_limits().as_dict() | {"combined": [1.0]}),
        ("radius_factors", {"right_lung": 1.0, "left_lung": 1.0}),
        ("examiner", {"latent.mean": 5}),
        ("examiner", {"latent.mean": torch.zeros(64)}),
        ("examiner", HybridGNet(64).state_dict()),
    ],
)
def test_a_part_of_no_use_is_refused(path: Path, key: str, value: Any) -> None:
    changed(path, key, value)
    refused(path, "is incomplete")


@given(seed=st.integers(0, 999), scale=st.floats(0.1, 10))
def test_radius_is_the_expected_error_times_its_organs_factor(seed: int, scale: float) -> None:
    factors = np.random.default_rng(seed).normal(size=(2, 120, 2, 2))
    covariance = factors @ factors.swapaxes(-1, -2)
    radius = CALIBRATION.radius90(covariance)
    assert radius.shape == (2, 120)
    for organ, factor in ((RIGHT_LUNG, 1.25), (LEFT_LUNG, 1.5), (HEART, 2.0)):
        expected = factor * np.sqrt(covariance[:, organ.nodes].trace(axis1=-2, axis2=-1))
        np.testing.assert_allclose(radius[:, organ.nodes], expected, rtol=1e-9)
    np.testing.assert_allclose(CALIBRATION.radius90(scale**2 * covariance), scale * radius, rtol=1e-9)
