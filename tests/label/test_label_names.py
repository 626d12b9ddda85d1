"""Which organ each value of a submitted mask is: whatever the order of the segments, what is read is what was drawn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from support.samples.dicom import chest_phantom, phantom_landmarks

from label.images.label_names import organs_of_values
from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, ORGANS, RIGHT_LUNG, Organ, organ_called
from monai_chexmask_u.geometry import fill_polygon
from monai_chexmask_u.radiograph import Radiograph

if TYPE_CHECKING:
    from label.images.folder_datastore import ChestLocalDatastore

SHAPE: Final = (100, 80)
MASKS: Final = {organ: fill_polygon(phantom_landmarks(*SHAPE)[organ.nodes], SHAPE) for organ in ORGANS}
NAMES: Final = {
    RIGHT_LUNG: ("Right lung", "right_lung", "RIGHT LUNG", "Lung R", "LungRight", " lung, right "),
    LEFT_LUNG: ("Left lung", "left-lung", "Lung L", "L_LUNG", "lung.left", "LungL"),
    HEART: ("Heart", "heart ", "HEART", "Cardiac silhouette", "cardiac_silhouette"),
}
RADIOGRAPH: Final = Radiograph(chest_phantom(*SHAPE), Path("a.png"))
some_organs = st.lists(st.sampled_from(ORGANS), min_size=1, max_size=3, unique=True)


def drawn(organs: Sequence[Organ | None]) -> NDArray[np.uint8]:
    """Return the mask in which segments have the numbers of their order; None is one without pixels."""
    mask = np.zeros(SHAPE, np.uint8)
    for value, organ in enumerate(organs, start=1):
        if organ is not None:
            mask[MASKS[organ]] = value
    return mask


def read(mask: NDArray[np.uint8], info: dict[str, Any], *, mirrored: bool = False) -> dict[str, NDArray[np.bool_]]:
    named = organs_of_values(info, mirrored=mirrored)(mask)
    return {organ.name: mask == value for value, organ in named.items() if (mask == value).any()}


def expected(mask: NDArray[np.uint8], organs: Sequence[Organ | None]) -> dict[str, NDArray[np.bool_]]:
    return {organ.name: mask == value for value, organ in enumerate(organs, start=1) if organ is not None}


def assert_same(found: dict[str, NDArray[np.bool_]], right: dict[str, NDArray[np.bool_]]) -> None:
    assert found.keys() == right.keys()
    for name, mask in found.items():
        np.testing.assert_array_equal(mask, right[name])


@pytest.mark.parametrize(("organ", "name"), [(organ, name) for organ, names in NAMES.items() for name in names])
def test_an_organ_is_known_by_what_people_call_it(organ: Organ, name: str) -> None:
    assert organ_called(name) is organ


@pytest.mark.parametrize("name", ["", "lung", "Right lung 1", "Segment_1", "right", "Right lung and heart", "Hearts"])
def test_other_names_mean_no_organ(name: str) -> None:
    assert organ_called(name) is None


@given(organs=some_organs, data=st.data())
def test_what_is_read_is_what_was_drawn_in_any_order_with_any_name(organs: list[Organ], data: st.DataObject) -> None:
    info = [
        {"name": data.draw(st.sampled_from(NAMES[organ])), "idx": value} for value, organ in enumerate(organs, start=1)
    ]
    mask = drawn(organs)
    assert_same(read(mask, {"label_info": info}), expected(mask, organs))


@given(organs=some_organs, skipped=st.integers(0, 3), data=st.data())
def test_segments_that_3d_slicer_leaves_out_shift_no_organ(
    organs: list[Organ], skipped: int, data: st.DataObject
) -> None:
    # Its plugin numbers all segments, and exports those that are no scribbles, numbered anew.
    empty = data.draw(
        st.lists(st.booleans(), min_size=len(organs), max_size=len(organs)).filter(lambda flags: not all(flags))
    )
    info = [{"name": organ.title, "idx": value} for value, organ in enumerate(organs, start=1 + skipped)]
    segments = [None if is_empty else organ for organ, is_empty in zip(organs, empty, strict=True)]
    mask = drawn(segments)
    found, refusal = None, ""
    try:
        found = read(mask, {"label_info": info})
    except ValueError as error:
        refusal = str(error)
    if found is None:
        assert "do not tell which segment is which" in refusal
        assert skipped, "without gaps there is one reading"
    else:
        assert_same(found, expected(mask, segments))


@pytest.mark.parametrize("order", list(permutations(ORGANS)), ids=lambda order: "-".join(each.prefix for each in order))
@pytest.mark.parametrize("mirrored", [False, True])
def test_without_names_no_wrong_order_passes(order: tuple[Organ, ...], mirrored: bool) -> None:
    mask = drawn(order)
    mask = np.ascontiguousarray(mask[:, ::-1]) if mirrored else mask
    if order == ORGANS:
        assert_same(read(mask, {}, mirrored=mirrored), expected(mask, order))
    else:
        with pytest.raises(ValueError, match="organs do not lie as 1 right lung, 2 left lung, 3 heart would"):
            read(mask, {}, mirrored=mirrored)


@pytest.mark.parametrize("count", [1, 2])
def test_without_names_a_part_of_the_organs_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="nobody can tell which it has; send label_info with the names Right lung"):
        read(drawn(ORGANS[:count]), {})


def test_names_of_the_servers_own_inference_count() -> None:
    mask = drawn([None, None, HEART])
    info = {"params": {"label_names": {"right_lung": 1, "left_lung": 2, "heart": 3}}}
    assert_same(read(mask, info), expected(mask, [None, None, HEART]))


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (
            [{"name": "Segment_1", "idx": 1}, {"name": "Heart", "idx": 2}],
            "segment 'Segment_1' is none of Right lung, Left lung, Heart; rename it",
        ),
        ([{"name": "Right lung", "idx": 2}, {"name": "Heart", "idx": 2}], "two names for value 2"),
        ([{"name": "Heart", "idx": 1}, {"name": "heart", "idx": 2}], "two segments are called Heart"),
        ([], "no name in label_info stands for value 1"),
        ("Heart", "label_info must be a list of"),
        ([{"idx": 1}], "label_info must be a list of"),
        ([{"name": "Heart", "idx": True}], "label_info must be a list of"),
        ([{"name": "Heart", "idx": 0}], "label_info must be a list of"),
    ],
)
def test_what_names_no_organ_is_refused_with_what_to_rename(info: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(drawn([RIGHT_LUNG, HEART]), {"label_info": info})


@pytest.mark.parametrize("value", [None, "1", 1.0, [1]])
def test_own_names_that_a_client_made_up_are_refused_in_words(value: object) -> None:
    with pytest.raises(ValueError, match="label_info must be a list of"):
        read(drawn([RIGHT_LUNG, HEART]), {"params": {"label_names": {"heart": value}}})


def test_a_name_without_pixels_need_not_be_an_organ() -> None:
    mask = drawn([None, HEART])
    info = [{"name": "clavicle", "idx": 1}, {"name": "Heart", "idx": 2}]
    assert_same(read(mask, {"label_info": info}), expected(mask, [None, HEART]))


def saved(mask: NDArray[np.uint8], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)
    return path


def test_training_reads_values_by_their_names(tmp_path: Path) -> None:
    pytest.importorskip("monailabel")
    from label.images.submissions import read_submitted

    order = (LEFT_LUNG, HEART, RIGHT_LUNG)
    info = {"label_info": [{"name": organ.title, "idx": value} for value, organ in enumerate(order, start=1)]}
    landmarks = read_submitted(saved(drawn(order), tmp_path / "label.png"), RADIOGRAPH, info)
    distances = np.linalg.norm(landmarks - phantom_landmarks(*SHAPE), axis=1)
    for organ in ORGANS:
        center = landmarks[organ.nodes].mean(axis=0) - phantom_landmarks(*SHAPE)[organ.nodes].mean(axis=0)
        assert np.abs(center).max() < 5, organ
    assert distances.max() < 40


@pytest.mark.parametrize("names", [("Left lung", "Right lung", "Heart"), ("Left lung", "Right lung")])
def test_lungs_by_the_viewers_sides_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    pytest.importorskip("monailabel")
    from label.images.submissions import read_submission, read_submitted

    path = saved(drawn(ORGANS[: len(names)]), tmp_path / "label.png")
    info = {"label_info": [{"name": name, "idx": value} for value, name in enumerate(names, start=1)]}
    for reads in (read_submission, read_submitted):
        with pytest.raises(ValueError, match="the right lung lies where the patient's left one is"):
            reads(path, RADIOGRAPH, info)


def test_stored_labels_are_checked_once_and_flagged(tmp_path: Path) -> None:
    pytest.importorskip("monailabel")
    from label.images.folder_datastore import ChestLocalDatastore
    from label.images.stored_labels import check_stored_labels

    datastore: ChestLocalDatastore = ChestLocalDatastore(tmp_path)
    orders = {"right": ORGANS, "wrong": (LEFT_LUNG, HEART, RIGHT_LUNG), "heart": (HEART,)}
    for name, order in orders.items():
        saved((RADIOGRAPH.pixels * 255).astype(np.uint8), tmp_path / f"{name}.png")
        label = saved(drawn(order), tmp_path / "labels" / "final" / f"{name}.png")
        assert label.is_file()
    assert sorted(check_stored_labels(datastore)) == ["heart", "wrong"]
    assert "send label_info" in datastore.get_label_info("wrong", "final")["problem"]
    assert datastore.get_label_info("right", "final")["problem"] is None
    assert check_stored_labels(datastore) == {}
