from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.samples.calibrations import CRITERIA, make_calibration, make_examiner, make_limits

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, ORGANS, RIGHT_LUNG
from monai_chexmask_u.networks import Examiner, HybridGNet
from monai_chexmask_u.networks.examiner import examiner_from_state
from monai_chexmask_u.networks.states import StateError
from monai_chexmask_u.uncertainty import Limit
from monai_chexmask_u.uncertainty.calibration import (
    FORMAT,
    CalibrationError,
    checked_factors,
    checked_limits,
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
    limits = make_limits(1.0, 2.0, combined=Limit(-0.5, 0.5), flatness=Limit(0.0, 0.0))
    record = {"radiographs": {"JSRT": 20}, "notes": ["ü", None, True, 0.1]}
    factors = {"right_lung": 1.25, "left_lung": 100.0, "heart": 0.01}
    written = make_calibration(WEIGHTS, limits=limits, record=record, radius_factors=factors)
    write_calibration(written, tmp_path / "c.pt")
    read = read_calibration(tmp_path / "c.pt", WEIGHTS)
    assert (read.limits, read.record, read.radius_factors) == (limits, record, factors)
    np.testing.assert_allclose(read.error_correlation.loadings, written.error_correlation.loadings, rtol=1e-6)
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
        refused(path, "other weights" if key == "weights_sha256" else "; make it anew with chexmask-u calibrate")


@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion_needs_a_limit(path: Path, criterion: str) -> None:
    limits = make_limits().as_dict()
    del limits[criterion]
    changed(path, "limits", limits)
    refused(path, f"limits is incomplete: {criterion} is missing")


NO_NUMBERS: dict[str, Any] = {
    **{"nan": math.nan, "infinite": math.inf, "minus infinite": -math.inf, "negative": -1.0, "huge": 1e30},
    **{"long": 10**400, "bool": True, "text": "1.0", "none": None, "list": [1.0], "tensor": torch.tensor(1.0)},
}
NO_FACTORS = NO_NUMBERS | {"zero": 0.0, "small": 0.009, "large": 101.0, "tiny": 1e-300}


@pytest.mark.parametrize("value", NO_FACTORS.values(), ids=NO_FACTORS)
def test_a_factor_that_is_no_plausible_number_is_refused(path: Path, value: Any) -> None:
    changed(path, "radius_factors", {"right_lung": 1.0, "left_lung": 1.0, "heart": value})
    refused(path, "radius_factors of heart is ")
    for organ in ORGANS:
        with pytest.raises(ValueError, match=f"^error_factors of {organ.name} is "):
            checked_factors("error_factors", {each.name: 1.0 for each in ORGANS} | {organ.name: value})


@pytest.mark.parametrize("value", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_a_limit_that_is_no_plausible_number_is_refused(path: Path, value: Any) -> None:
    limits = make_limits(0.5, 1.0).as_dict()
    changed(path, "limits", limits | {"flatness": [0.5, value]})
    refused(path, "the limit of rejection of flatness is ")
    for criterion in CRITERIA:
        is_score = criterion in ("combined", "shape_distance")  # of log odds, and a distance from a median
        wrong = -1001.0 if value == -1.0 and is_score else value
        for pair, what in (([wrong, 1.0], "review"), ([0.5, wrong], "rejection")):
            with pytest.raises(ValueError, match=f"^the limit of {what} of {criterion} is "):
                checked_limits(limits | {criterion: pair})


def test_limits_out_of_order_are_refused(path: Path) -> None:
    for criterion in CRITERIA:
        changed(path, "limits", make_limits(0.5, 1.0).as_dict() | {criterion: [1.0, 0.5]})
        refused(path, f"the limit of review of {criterion} (1) is above that of rejection (0.5)")


@pytest.mark.parametrize("pair", [[], [1.0], [0.5, 1.0, 2.0], 1.0, "ab", {"review": 0.5, "reject": 1.0}, None])
def test_a_limit_that_is_no_pair_is_refused(path: Path, pair: Any) -> None:
    changed(path, "limits", make_limits(0.5, 1.0).as_dict() | {"flatness": pair})
    refused(path, "the limit of flatness is no pair of numbers")


def test_an_uncertainty_of_nothing_is_no_limit(path: Path) -> None:
    changed(path, "limits", make_limits(0.5, 1.0).as_dict() | {"uncertainty:heart": [0.0, 1.0]})
    refused(path, "the limit of review of uncertainty:heart is 0, and must be positive")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("radius_factors", {"right_lung": 1.0, "left_lung": 1.0}, "radius_factors is incomplete: heart is missing"),
        ("error_factors", {"heart": 1.0}, "error_factors is incomplete: left_lung is missing"),
        (
            "radius_factors",
            {"right_lung": 1.0, "left_lung": 1.0, "heart": 1.0, "spleen": 1.0},
            "radius_factors has an entry of an unknown name, 'spleen'",
        ),
        ("limits", make_limits(0.5, 1.0).as_dict() | {"foreign": [0.5, 1.0]}, "limits has an entry of an unknown name"),
        ("limits", make_limits(0.5, 1.0).as_dict() | {1: [0.5, 1.0]}, "limits has an entry of an unknown name, 1"),
        ("accept", "everything", "the file holds 'accept', which is no part of a calibration"),
        (7, None, "the file holds 7, which is no part of a calibration"),
        ("record", [["radiographs", 1]], "the record is not what JSON can hold"),
        ("record", {"radiographs": torch.zeros(3)}, "the record is not what JSON can hold"),
        ("record", {"radiographs": math.nan}, "the record is not what JSON can hold"),
        ("record", {"radiographs": {1: 2}}, "the record is not what JSON can hold"),
        ("record", {"radiographs": (1, 2)}, "the record is not what JSON can hold"),
    ],
)
def test_what_is_missing_unknown_or_of_another_kind_is_named(path: Path, key: Any, value: Any, said: str) -> None:
    changed(path, key, value)
    refused(path, said)


def changed_examiner(path: Path, **values: Any) -> None:
    state = torch.load(path, weights_only=True)["examiner"]
    changed(path, "examiner", {name: value for name, value in {**state, **values}.items() if value is not None})


TENSORS = sorted(name for name, value in make_examiner().state_dict().items() if value.is_floating_point())


@pytest.mark.parametrize("name", TENSORS)
def test_a_number_of_the_examiner_that_is_not_finite_is_refused(path: Path, name: str) -> None:
    for value in (math.nan, math.inf, -math.inf):
        tensor = make_examiner().state_dict()[name].clone()
        tensor.view(-1)[-1] = value
        changed_examiner(path, **{name: tensor})
        refused(path, f"the file has values that are not finite in {name}")


@pytest.mark.parametrize("kind", ["bool", "complex", "longer", "empty", "missing", "number", "text"])
def test_tensors_of_the_examiner_of_another_shape_or_kind_are_refused(kind: str) -> None:
    for name, tensor in make_examiner().state_dict().items():
        other = {"bool": tensor.bool(), "complex": tensor.to(torch.complex64), "longer": tensor[None]}
        other |= {"empty": tensor.flatten()[:0], "number": 1.0, "text": "1.0"}
        state = {**make_examiner().state_dict(), name: other.get(kind)}
        with pytest.raises(StateError):
            examiner_from_state({key: value for key, value in state.items() if value is not None})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"features.mean": torch.full((256,), 1e300, dtype=torch.float64)}, "not finite in features.mean"),
        ({"latent.mean": torch.zeros(()).expand(10**9)}, "has wrong shapes: latent.precision (64, 64)"),
        (
            {"latent.mean": torch.zeros(10**6), "latent.precision": torch.zeros(()).expand(10**6, 10**6)},
            "has wrong shapes: latent.precision",
        ),
        ({"latent.mean": torch.zeros(0), "latent.precision": torch.zeros(0, 0)}, "lacks latent.mean"),
        ({"latent.mean": None}, "lacks latent.mean"),
        ({"features.precision": torch.eye(256).to_sparse()}, "other kinds of numbers"),
        ({"features.precision": -torch.eye(256)}, "not positive definite in features"),
        ({"latent.precision": torch.zeros(64, 64)}, "not positive definite in latent"),
        ({"latent.precision": torch.eye(64).roll(1, 0)}, "not symmetric in latent"),
        ({"features.scale": torch.tensor(0.0)}, "a scale that is not positive in features"),
        ({"shape.scale": torch.tensor(-1.0)}, "a scale that is not positive in shape"),
        ({"shape.basis": torch.full((20, 240), 9.0)}, "longer than 1, or not at right angles in shape"),
        ({"detector.map_norm.running_var": torch.full((256,), -1.0)}, "negative variances in detector.map_norm"),
        ({"extra": torch.zeros(1)}, "the file has unknown extra"),
    ],
)
def test_an_examiner_that_measures_nothing_is_refused(path: Path, values: dict[str, Any], said: str) -> None:
    changed_examiner(path, **values)
    refused(path, said)


@pytest.mark.parametrize("state", [HybridGNet(64).state_dict(), {}, {1: torch.zeros(1)}, None, torch.zeros(64)])
def test_a_state_of_something_else_is_refused(path: Path, state: Any) -> None:
    changed(path, "examiner", state)
    refused(path, "the file ")


@pytest.mark.parametrize(
    "change",
    [
        {"radius_factors": {"right_lung": 1.0, "left_lung": math.inf, "heart": 1.0}},
        {"limits": make_limits(0.5, 1.0, combined=Limit(0.5))},
        {"record": {"mean": math.nan}},
    ],
)
def test_what_could_not_be_read_again_is_not_written(path: Path, change: dict[str, Any]) -> None:
    before = path.read_bytes()
    with pytest.raises(ValueError, match="is not written: "):
        write_calibration(make_calibration(WEIGHTS, **change), path)
    assert path.read_bytes() == before


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


@pytest.mark.parametrize(
    ("loadings", "said"),
    [
        ([[0.5]], "no matrix"),
        (torch.zeros(240, 4).double(), "no matrix"),
        (torch.full((240, 4), math.nan), "no matrix of finite numbers"),
        (torch.zeros(239, 4), "shape (239, 4)"),
        (torch.zeros(240), "shape (240,)"),
        (torch.zeros(240, 0), "shape (240, 0)"),
        (torch.zeros(240, 49), "shape (240, 49)"),
        (torch.full((240, 4), 0.6), "no correlation"),
    ],
    ids=["list", "double", "nan", "landmark", "vector", "empty", "wide", "sum"],
)
def test_a_correlation_that_is_none_is_refused(path: Path, loadings: Any, said: str) -> None:
    content = torch.load(path, weights_only=True)
    torch.save(content | {"error_loadings": loadings}, path)
    refused(path, said)
