"""Which image comes next: laws of both strategies, on datastores in memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("monailabel")

if TYPE_CHECKING:
    from label.tasks.strategies import UncertainAndDiverse

SCORES = st.lists(st.floats(0.1, 500), min_size=1, max_size=12)


class Images:
    """A datastore's images, as strategies ask for them."""

    def __init__(self, scores: list[float] | dict[str, float]) -> None:
        named = scores if isinstance(scores, dict) else {f"radiograph{n:02d}": score for n, score in enumerate(scores)}
        self.info: dict[str, dict[str, Any]] = {n: {"landmark_uncertainty": s} for n, s in named.items()}
        self.labeled: set[str] = set()

    def list_images(self) -> list[str]:
        return list(self.info)

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        return [name for name in self.info if name not in self.labeled]

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        return self.info[image_id]

    def serve(self, image_id: str, ago: float = 0) -> None:
        self.info[image_id]["strategy"] = {"some": {"ts": int(time.time() - ago), "client_id": "who"}}


def ask(strategy: Any, images: Images, **request: Any) -> dict[str, Any]:
    """Ask for the next image, of which there is one."""
    answer: dict[str, Any] = strategy(request, images)
    return answer


def in_order(strategy: Any, images: Images) -> list[str]:
    """Ask until everything was handed out once."""
    order = []
    for _ in images.list_images():
        order.append(strategy({}, images)["id"])
        images.serve(order[-1])
    return order


@pytest.fixture
def diverse(tmp_path: Path, calibrated_bundle: Path) -> UncertainAndDiverse:
    from label.tasks.latents import LatentStore
    from label.tasks.model_versions import ModelStore
    from label.tasks.strategies import UncertainAndDiverse

    store = ModelStore(tmp_path / "model", calibrated_bundle)
    return UncertainAndDiverse(store, LatentStore(tmp_path / "latents", "studies"))


def place(strategy: UncertainAndDiverse, latents: dict[str, list[float]]) -> None:
    means = {name: np.array(mean, np.float32) for name, mean in latents.items()}
    strategy.latents.add(strategy.store.load().identity.sha256, means)


@given(scores=SCORES)
def test_the_most_uncertain_comes_first(scores: list[float]) -> None:
    from label.tasks.strategies import MostUncertain

    images = Images(scores)
    order = in_order(MostUncertain(), images)
    ranked = [images.info[name]["landmark_uncertainty"] for name in order]
    assert ranked == sorted(scores, reverse=True)
    assert len(set(order)) == len(scores)


def test_annotated_and_unusable_images_are_never_handed_out() -> None:
    from label.tasks.strategies import MostUncertain

    images = Images([1.0, 2.0, 3.0])
    images.labeled.add("radiograph02")
    images.info["radiograph01"]["landmark_uncertainty_error"] = {"code": "truncated", "message": ""}
    assert ask(MostUncertain(), images)["id"] == "radiograph00"
    images.labeled.add("radiograph00")
    assert MostUncertain()({}, images) is None


def test_the_order_of_kinds_is_open_scored_then_unscored_then_handed_out_then_rejected() -> None:
    from label.tasks.strategies import MostUncertain

    images = Images({"hand": 99.0, "served": 50.0, "served_before": 40.0, "open": 1.0, "unscored": 0.0})
    images.info["hand"]["verdict"] = "reject"
    images.info["unscored"] = {}
    images.serve("served", ago=10)
    images.serve("served_before", ago=100)
    found = []
    for _ in range(5):
        result = ask(MostUncertain(), images)
        found.append(result["id"])
        images.labeled.add(result["id"])
    assert found == ["open", "unscored", "served_before", "served", "hand"]
    assert "do not look like" in result["why"]


def test_an_image_handed_out_more_than_a_day_ago_counts_as_open() -> None:
    from label.tasks.strategies import MostUncertain

    images = Images([5.0, 1.0])
    images.serve("radiograph00", ago=25 * 3600)
    assert ask(MostUncertain(), images)["id"] == "radiograph00"


def test_nothing_annotated_yet_the_most_uncertain_comes_first_here_too(diverse: UncertainAndDiverse) -> None:
    place(diverse, {"radiograph00": [0.0, 0.0], "radiograph01": [1.0, 0.0]})
    result = ask(diverse, Images([1.0, 2.0]))
    assert (result["id"], result["distance"]) == ("radiograph01", None)


def test_a_near_copy_of_an_annotated_image_comes_after_one_that_is_unlike_it(diverse: UncertainAndDiverse) -> None:
    from label.tasks.strategies import MostUncertain

    place(diverse, {"radiograph00": [0.0, 0.0], "radiograph01": [0.1, 0.0], "radiograph02": [3.0, 4.0]})
    images = Images([9.0, 8.0, 7.0])
    images.labeled.add("radiograph00")
    assert ask(MostUncertain(), images)["id"] == "radiograph01"
    result = ask(diverse, images)
    assert (result["id"], result["score"], result["distance"]) == ("radiograph02", 7.0, pytest.approx(5.0))
    assert result["worth"] == pytest.approx((7.0 * 5.0) ** 0.5)
    assert ask(diverse, images, balance=0)["id"] == "radiograph01"
    images.labeled.clear()
    images.serve("radiograph00")  # handed out counts like annotated
    assert ask(diverse, images)["id"] == "radiograph02"


def test_distance_alone_is_the_greedy_k_center_order(diverse: UncertainAndDiverse) -> None:
    place(diverse, {f"radiograph{n:02d}": [float(x), 0.0] for n, x in enumerate((0, 1, 10, 4, 9))})
    diverse.balance = 1.0
    assert in_order(diverse, Images([9.0, 1.0, 1.0, 1.0, 1.0])) == [
        "radiograph00",
        "radiograph02",
        "radiograph03",
        "radiograph01",
        "radiograph04",
    ]


@given(scores=SCORES, factor=st.floats(0.01, 100), seed=st.integers(0, 99))
def test_the_unit_of_the_score_does_not_matter_and_all_come_once(scores: list[float], factor: float, seed: int) -> None:
    from label.tasks.strategies import UncertainAndDiverse

    class Latents:
        def of(self, model_sha256: str) -> dict[str, np.ndarray]:
            generator = np.random.default_rng(seed)
            return {f"radiograph{n:02d}": generator.normal(size=8).astype(np.float32) for n in range(len(scores))}

    class Store:
        def current(self) -> Any:
            return type("Version", (), {"sha256": "ab"})

    strategy = UncertainAndDiverse(Store(), Latents())  # type: ignore[arg-type]
    rounded = [float(f"{score:.3g}") for score in scores]
    order = in_order(strategy, Images(rounded))
    assert order == in_order(strategy, Images(rounded))
    assert sorted(order) == sorted(Images(rounded).list_images())
    if len(set(rounded)) == len(rounded):
        assert order == in_order(strategy, Images([score * 2 ** round(np.log2(factor)) for score in rounded]))


@pytest.mark.parametrize("balance", [-0.1, 1.1, "much", None, float("nan")])
def test_a_balance_of_no_use_is_refused(diverse: UncertainAndDiverse, balance: Any) -> None:
    from monailabel.interfaces.exception import MONAILabelException

    with pytest.raises(MONAILabelException) as refusal:
        diverse({"balance": balance}, Images([1.0]))
    assert "balance must be a number from 0" in refusal.value.msg


NONSENSE = ["high", "\u0665", [1], {"a": 1}, True, -1.0, 10**400, None]


@pytest.mark.parametrize("note", NONSENSE, ids=lambda note: ascii(note)[:8])
def test_images_of_which_a_client_noted_nonsense_count_as_not_scored(diverse: UncertainAndDiverse, note: Any) -> None:
    from label.tasks.strategies import MostUncertain

    for strategy in (MostUncertain(), diverse):
        images = Images({"a": 1.0, "b": 2.0, "c": 3.0})
        place(diverse, {name: [1.0] * 64 for name in images.list_images()})
        images.info["a"] |= {"landmark_uncertainty": note, "strategy": note}
        images.info["b"] |= {"strategy": {"some": note}}
        images.info["c"] |= {"strategy": {"some": {"ts": note}}}
        assert in_order(strategy, images) == ["c", "b", "a"]
