from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG
from monai_chexmask_u.demo.alterations import Alteration
from monai_chexmask_u.demo.examples import draw_phantom, examples
from monai_chexmask_u.demo.sessions import Session
from monai_chexmask_u.model import Model

results = pytest.importorskip("monai_chexmask_u.demo.results")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    session = Session(tmp_path)
    results.open_radiograph(session, next(iter(examples().values()))(session.folder))
    return session


def test_a_radiograph_whose_image_cannot_be_made_does_not_stand_beside_that_of_another(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    radiograph, images = session.radiograph, dict(session.images)

    def no_memory(radiograph: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(results, "radiograph_image", no_memory)
    other = tmp_path / "other.png"
    draw_phantom().rotate(5).save(other)
    with pytest.raises(MemoryError):
        results.open_radiograph(session, other)
    assert session.radiograph is radiograph
    assert session.images == images


def test_the_drawn_chest_is_the_same_every_time() -> None:
    first, second = draw_phantom(), draw_phantom()
    assert first.size == (1024, 1024)
    assert first.tobytes() == second.tobytes()


def test_without_a_radiograph_the_user_is_told_to_choose_one(tmp_path: Path, tiny_model: Model) -> None:
    with pytest.raises(ValueError, match="choose a radiograph first"):
        results.segment(Session(tmp_path), tiny_model, Alteration(), samples=3)


def test_more_samples_than_the_page_offers_are_refused(session: Session, tiny_model: Model) -> None:
    with pytest.raises(ValueError, match="at most 200 samples"):
        results.segment(session, tiny_model, Alteration(), samples=10**9)


def test_the_radiograph_as_it_is_stands_beside_the_altered_one(session: Session, tiny_model: Model) -> None:
    results.segment(session, tiny_model, Alteration(noise=50), samples=3)
    before = session.before
    assert before is not None
    assert session.after is not None
    assert not np.array_equal(before.result.landmarks, session.after.result.landmarks)
    results.segment(session, tiny_model, Alteration(), samples=3)
    assert session.before is before
    assert session.after is None


def test_other_numbers_of_samples_are_not_compared(session: Session, tiny_model: Model) -> None:
    results.segment(session, tiny_model, Alteration(noise=50), samples=3)
    results.segment(session, tiny_model, Alteration(noise=50), samples=4)
    assert [past.result.sample_count for past in session.history] == [4, 4]


def test_the_box_of_an_organ_is_masked(session: Session, tiny_model: Model) -> None:
    results.segment(session, tiny_model, Alteration(), samples=3, cover="left_lung")
    assert session.before is not None
    assert session.after is not None
    low, high = (f(session.before.result.contour(LEFT_LUNG), axis=0) for f in (np.min, np.max))
    mask = session.after.alteration.mask
    assert mask is not None
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    assert (columns[0], rows[0]) == tuple(low.astype(int))
    assert (columns[-1], rows[-1]) == tuple(high.astype(int))
    assert session.after.radiograph.pixels[mask].max() == 0


def test_points_differ_in_the_plotted_severity_alone(session: Session, tiny_model: Model) -> None:
    for noise, blur in ((0, 0), (30, 0), (10, 5), (20, 5), (0, 5)):
        results.segment(session, tiny_model, Alteration(noise=noise, blur=blur), samples=3)
    found = results.points(session, "noise", "predictive")
    assert list(found) == ["Right lung", "Left lung", "Heart"]
    assert [[severity for severity, _ in values] for values in found.values()] == [[0, 10, 20]] * 3
    latest = session.history[-1].result
    assert found["Heart"][0][1] == latest.organ_uncertainty_px(HEART)
    assert [severity for severity, _ in results.points(session, "blur", "latent")["Whole radiograph"]] == [0, 5]
    assert results.points(session, "noise", "radius") == {}  # this model is not calibrated


def test_the_severity_that_was_moved_is_plotted(session: Session, tiny_model: Model) -> None:
    results.segment(session, tiny_model, Alteration(), samples=3)
    assert results.moved(session, "noise") == "noise"
    results.segment(session, tiny_model, Alteration(blur=2), samples=3)
    assert results.moved(session, "noise") == "blur"
    results.segment(session, tiny_model, Alteration(blur=2, contrast=0.1), samples=3)
    assert results.moved(session, "masked") == "masked"


def test_an_altered_radiograph_gives_no_dicom(session: Session, tiny_model: Model, chest_cr: Path) -> None:
    results.open_radiograph(session, chest_cr)
    results.segment(session, tiny_model, Alteration(contrast=0.5), samples=3)
    assert [name for name in results.offers(session) if name.endswith(".dcm")] == [
        "radiograph.seg.dcm",
        "radiograph.sr.dcm",
    ]
    path = results.write_result(session, "altered.json")
    assert path is not None
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["image"]["notes"][-1] == "altered_contrast:0.5"
    assert record["image"]["path"] == "radiograph"


@pytest.mark.parametrize(
    "name", ["../radiograph.json", "/etc/passwd", "", "radiograph.json/..", "altered.json", "radiograph.seg.dcm"]
)
def test_what_is_not_offered_is_not_written(session: Session, tiny_model: Model, name: str) -> None:
    results.segment(session, tiny_model, Alteration(), samples=3)
    assert results.write_result(session, name) is None
    assert not (session.folder / "results").exists()


def test_every_offer_is_written_under_its_name(session: Session, tiny_model: Model, chest_cr: Path) -> None:
    results.open_radiograph(session, chest_cr)
    results.segment(session, tiny_model, Alteration(noise=9), samples=3)
    for name in results.offers(session):
        path = results.write_result(session, name)
        assert path is not None
        assert path.name == name
        assert path.stat().st_size > 0
    assert {path.name for path in (session.folder / "results").iterdir()} == set(results.offers(session))


def test_another_radiograph_forgets_the_results_of_the_one_before(session: Session, tiny_model: Model) -> None:
    results.segment(session, tiny_model, Alteration(noise=50), samples=3)
    old = results.write_result(session, "radiograph.json")
    results.open_radiograph(session, next(iter(examples().values()))(session.folder))
    assert (session.before, session.after, session.history, results.offers(session)) == (None, None, [], {})
    assert old is not None
    assert not old.exists()


def test_a_broken_radiograph_leaves_the_one_before(session: Session, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n")
    radiograph = session.radiograph
    with pytest.raises(ValueError, match="broken"):
        results.open_radiograph(session, broken)
    assert session.radiograph is radiograph


def test_examples_of_other_packages_are_offered_where_installed(chest_cr: Path, tmp_path: Path) -> None:
    titles = list(examples())
    assert len(titles) == 2
    assert examples()[titles[1]](tmp_path) == chest_cr
    assert list(tmp_path.iterdir()) == []
