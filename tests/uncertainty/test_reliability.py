from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples.calibrations import CRITERIA, make_limits

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.networks.examiner import SCORES
from monai_chexmask_u.segmentation import Reliability
from monai_chexmask_u.uncertainty import NOT_CALIBRATED, Limit, Limits, assess, organ_uncertainty
from monai_chexmask_u.uncertainty.reliability import criteria

ORDER: Final = ("accept", "review", "reject")
LIMITS: Final = make_limits(review=1.0, reject=2.0)
EXPLAINED: Final = ("upside_down", "turned_sideways", "mirrored", "inverted")
REASON: Final = {
    "combined": "not_frontal_chest",
    "shape_distance": "implausible_shape",
    "flatness": "image_quality",
    "saturation": "image_quality",
    **{f"uncertainty:{organ.name}": f"high_uncertainty:{organ.name}" for organ in ORGANS},
}
VALUES = st.fixed_dictionaries({name: st.floats(0, 3) for name in CRITERIA})


def judge(values: Mapping[str, float], limits: Limits = LIMITS) -> Reliability:
    """Assess criteria and other scores, zero where not given, beside high scores that are no criteria."""
    scores = dict.fromkeys(SCORES, 0.0) | {"latent_distance": 99.0, "foreign": 99.0}
    scores |= {name: value for name, value in values.items() if name in scores}
    return assess(scores, {organ.name: values.get(f"uncertainty:{organ.name}", 0.0) for organ in ORGANS}, limits)


def test_nothing_is_accepted_before_a_calibration() -> None:
    assert Reliability("review", ("not_calibrated",)) == NOT_CALIBRATED


def test_a_result_within_its_limits_is_accepted_without_a_reason() -> None:
    assert judge({}) == Reliability("accept", ())
    assert judge(dict.fromkeys(CRITERIA, 1.0)) == Reliability("accept", ())  # a limit itself is within


@given(values=VALUES)
def test_verdict_is_that_of_the_worst_criterion(values: dict[str, float]) -> None:
    worst = max(values.values())
    assert judge(values).verdict == ORDER[(worst > 1) + (worst > 2)]


@given(values=VALUES, name=st.sampled_from(CRITERIA), rise=st.floats(0, 3))
def test_a_higher_value_never_makes_a_verdict_better(values: dict[str, float], name: str, rise: float) -> None:
    before, after = judge(values), judge(values | {name: values[name] + rise})
    assert ORDER.index(after.verdict) >= ORDER.index(before.verdict)


@given(values=VALUES, name=st.sampled_from(CRITERIA), wider=st.floats(0, 3))
def test_a_wider_limit_never_makes_a_verdict_worse(values: dict[str, float], name: str, wider: float) -> None:
    limits = make_limits(1.0, 2.0, **{name: Limit(1 + wider, 2 + wider)})
    assert ORDER.index(judge(values, limits).verdict) <= ORDER.index(judge(values).verdict)


@pytest.mark.parametrize("name", CRITERIA)
def test_what_is_no_number_is_never_accepted(name: str) -> None:
    for limits in (LIMITS, make_limits(math.inf), make_limits(1e9)):
        assert judge({name: math.nan}, limits).verdict == "reject"
    assert judge({name: math.inf}).verdict == "reject"
    assert judge({name: math.inf}, make_limits(1.0)).verdict == "review"


@pytest.mark.parametrize("name", CRITERIA)
def test_each_criterion_has_its_reason(name: str) -> None:
    assert judge({name: 1.5}) == Reliability("review", (REASON[name],))
    assert judge({name: 2.5}) == Reliability("reject", (REASON[name],))


@given(values=VALUES)
def test_reasons_are_those_of_the_verdict_in_order_and_each_but_once(values: dict[str, float]) -> None:
    result = judge(values)
    limit = {"accept": math.inf, "review": 1, "reject": 2}[result.verdict]
    assert result.reasons == tuple(dict.fromkeys(REASON[name] for name in CRITERIA if values[name] > limit))
    assert bool(result.reasons) == (result.verdict != "accept")


@pytest.mark.parametrize("kind", EXPLAINED)
def test_a_foreign_image_is_explained_where_the_detector_is_sure(kind: str) -> None:
    assert judge({"combined": 3.0, f"is_{kind}": 0.8}).reasons == (kind,)
    assert judge({"combined": 3.0, f"is_{kind}": 0.79}).reasons == ("not_frontal_chest",)
    assert judge({"shape_distance": 3.0, f"is_{kind}": 1.0}).reasons == ("implausible_shape",)  # it explains no other


@pytest.mark.parametrize("kind", ["frontal_chest", "partial_view", "not_a_radiograph"])
def test_other_kinds_explain_nothing(kind: str) -> None:
    assert judge({"combined": 3.0, f"is_{kind}": 1.0}).reasons == ("not_frontal_chest",)


def test_criteria_are_some_scores_and_the_uncertainty_of_each_organ() -> None:
    scores = {name: float(number) for number, name in enumerate(SCORES)}
    found = criteria(scores, {"right_lung": 101.0, "left_lung": 102.0, "heart": 103.0})
    assert tuple(found) == CRITERIA
    assert [found[f"uncertainty:{organ.name}"] for organ in ORGANS] == [101, 102, 103]
    assert all(found[name] == scores[name] for name in CRITERIA[:4])


def test_uncertainty_of_an_organ_is_the_mean_of_its_nodes_at_1024_pixels() -> None:
    std = np.arange(1.0, 121)[:, None] * [1, 3] / 1024  # of x and y
    covariance = std[:, :, None] * np.eye(2) * std[:, None]
    expected = {organ.name: 2 * float(np.arange(1, 121)[organ.nodes].mean()) for organ in ORGANS}
    assert organ_uncertainty(covariance) == pytest.approx(expected)


@given(
    pairs=st.dictionaries(
        st.sampled_from(CRITERIA), st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)).map(sorted)
    )
)
def test_limits_round_trip(pairs: dict[str, list[float]]) -> None:
    limits = Limits({name: Limit(*pair) for name, pair in pairs.items()})
    assert limits.as_dict() == pairs
    assert Limits.from_dict(limits.as_dict()) == limits


@pytest.mark.parametrize("pair", [(2.0, 1.0), (math.nan, 1.0), (1.0, math.nan)])
def test_limits_out_of_order_are_refused(pair: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="must not be below"):
        Limit(*pair)
    with pytest.raises(ValueError, match="must not be below"):
        Limits.from_dict({"combined": pair})


def test_there_is_no_rejection_by_default() -> None:
    assert Limit(1.0).reject == math.inf


@pytest.mark.parametrize("kind", EXPLAINED)
def test_what_is_surely_turned_is_not_accepted_though_within_its_limits(kind: str) -> None:
    assert judge({f"is_{kind}": 0.9}) == Reliability("review", (kind,))
    assert judge({f"is_{kind}": 0.5}) == Reliability("accept", ())
