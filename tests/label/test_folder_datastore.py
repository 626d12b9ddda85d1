"""The datastore on a folder: what it lists, which label counts, and several processes at once."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("monailabel")

from PIL import Image
from support.samples.dicom import chest_phantom, make_cr, save

if TYPE_CHECKING:
    from label.images.folder_datastore import ChestLocalDatastore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "studies").mkdir()
    return tmp_path / "studies"


@pytest.fixture
def datastore(folder: Path) -> ChestLocalDatastore:
    from label.images.folder_datastore import ChestLocalDatastore

    return ChestLocalDatastore(folder)


def radiograph(path: Path) -> Path:
    Image.fromarray((chest_phantom(64, 64) * 255).astype(np.uint8)).save(path)
    return path


def test_radiographs_are_listed_by_name_and_by_content(datastore: ChestLocalDatastore, folder: Path) -> None:
    for name in ("a.png", "B.JPG", "c.tiff", "a.b.jpeg"):
        radiograph(folder / name)
    save(make_cr(), folder / "d.dcm")
    save(make_cr(), folder / "1.2.840.10008")
    save(make_cr(), folder / "IM0001")
    for name in ("notes.txt", "result.mask.png", ".hidden.png", "x.seg.dcm"):
        (folder / name).write_text("no radiograph")
    (folder / "sub").mkdir()
    radiograph(folder / "sub" / "e.png")
    assert sorted(datastore.list_images()) == ["1.2.840.10008", "B", "IM0001", "a", "a.b", "c", "d"]
    assert Path(datastore.get_image_uri("B")).name == "B.JPG"
    assert Path(datastore.get_image_uri("1.2.840.10008")).name == "1.2.840.10008"


def test_radiographs_whose_names_differ_in_the_ending_alone_are_kept_apart(
    datastore: ChestLocalDatastore, folder: Path
) -> None:
    save(make_cr(), folder / "a.dcm")
    radiograph(folder / "a.png")
    assert sorted(datastore.list_images()) == ["a", "a.png"]
    assert Path(datastore.get_image_uri("a")).name == "a.dcm"
    assert Path(datastore.get_image_uri("a.png")).name == "a.png"
    mask = radiograph(folder.parent / "mask.png")
    datastore.save_label("a.png", str(mask), "final", {})
    assert datastore.get_labels_by_image_id("a") == {}
    assert Path(datastore.get_label_uri("a.png", "final")).name == "a.png.png"
    assert datastore.get_labeled_images() == ["a.png"]


def test_files_that_come_and_go_are_noticed(datastore: ChestLocalDatastore, folder: Path) -> None:
    radiograph(folder / "a.png")
    assert datastore.list_images() == ["a"]
    radiograph(folder / "labels" / "final" / "a.png")
    assert datastore.get_labeled_images() == ["a"]
    (folder / "labels" / "final" / "a.png").unlink()
    assert datastore.get_unlabeled_images() == ["a"]
    (folder / "a.png").unlink()
    assert datastore.list_images() == []


def test_the_latest_submission_takes_the_place_of_the_others(datastore: ChestLocalDatastore, folder: Path) -> None:
    radiograph(folder / "a.png")
    mask = radiograph(folder.parent / "mask.png")
    markups = folder.parent / "label.mrk.json"
    markups.write_text("{}")
    datastore.save_label("a", str(mask), "final", {"by": "mask"})
    datastore.save_label("a", str(markups), "final", {"by": "markups"})
    assert [path.name for path in (folder / "labels" / "final").iterdir()] == ["a.mrk.json"]
    assert datastore.get_label_info("a", "final")["by"] == "markups"
    datastore.save_label("a", str(mask), "original", {})
    assert set(datastore.get_labels_by_image_id("a")) == {"final", "original"}


def test_of_labels_that_somebody_puts_there_the_newest_counts(datastore: ChestLocalDatastore, folder: Path) -> None:
    import os

    radiograph(folder / "a.png")
    place = folder / "labels" / "final"
    radiograph(place / "a.png")
    (place / "a.mrk.json").write_text("{}")
    os.utime(place / "a.mrk.json", (1, 1))
    assert Path(datastore.get_label_uri("a", "final")).name == "a.png"
    assert len(list(place.iterdir())) == 2


def test_an_image_is_removed_with_its_labels(datastore: ChestLocalDatastore, folder: Path) -> None:
    radiograph(folder / "a.png")
    datastore.save_label("a", str(radiograph(folder.parent / "mask.png")), "final", {})
    datastore.remove_image("a")
    assert datastore.list_images() == []
    assert not [path for path in folder.rglob("a*") if path.is_file()]


def test_an_image_that_is_there_is_not_replaced(datastore: ChestLocalDatastore, folder: Path) -> None:
    from monailabel.interfaces.exception import MONAILabelException

    new = radiograph(folder.parent / "new.png")
    assert datastore.add_image("a", str(new), {"by": "me"}) == "a"
    assert datastore.get_image_info("a")["by"] == "me"
    with pytest.raises(MONAILabelException) as refused:
        datastore.add_image("a", str(new), {})
    assert "already" in refused.value.msg


def note(folder: Path, name: str) -> None:
    from label.images.folder_datastore import ChestLocalDatastore

    datastore = ChestLocalDatastore(folder)
    for number in range(20):
        datastore.update_image_infos({"a": {f"{name}{number}": number}})


def test_processes_do_not_lose_each_others_notes(datastore: ChestLocalDatastore, folder: Path) -> None:
    radiograph(folder / "a.png")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=note, args=(folder, name)) for name in "xyz"]
    for process in processes:
        process.start()
    for number in range(20):
        datastore.update_image_info("a", {f"here{number}": number})
    for process in processes:
        process.join()
    info = datastore.get_image_info("a")
    assert {key for key in info if key not in ("ts", "name", "path")} == {
        f"{name}{number}" for name in ("x", "y", "z", "here") for number in range(20)
    }


def test_what_was_noted_is_there_the_next_time(datastore: ChestLocalDatastore, folder: Path) -> None:
    from label.images.folder_datastore import ChestLocalDatastore

    radiograph(folder / "a.png")
    datastore.update_image_info("a", {"score": 1.5})
    shutil.copy(folder / "a.png", folder / "b.png")
    again = ChestLocalDatastore(folder)
    assert again.get_image_info("a")["score"] == 1.5
    assert sorted(again.list_images()) == ["a", "b"]


@pytest.mark.parametrize("content", ["", "{broken", "[]", '{"objects": {"a": 5}}'])
def test_notes_that_cannot_be_read_are_set_aside(
    datastore: ChestLocalDatastore, folder: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    from label.images.folder_datastore import ChestLocalDatastore

    radiograph(folder / "a.png")
    datastore.save_label("a", str(radiograph(folder.parent / "mask.png")), "final", {})
    notes = folder / "datastore_v2.json"
    for is_open in (True, False):
        notes.write_text(content)
        assert (datastore if is_open else ChestLocalDatastore(folder)).get_labeled_images() == ["a"]
        assert (folder / "datastore_v2.json.broken").read_text() == content
        assert "cannot be read" in caplog.text
        caplog.clear()


def test_a_change_that_fails_is_forgotten(datastore: ChestLocalDatastore, folder: Path) -> None:
    radiograph(folder / "a.png")
    mask = str(radiograph(folder.parent / "mask.png"))
    datastore.save_label("a", mask, "final", {})
    markups = folder.parent / "label.mrk.json"
    markups.write_text("{}")
    with pytest.raises(TypeError):
        datastore.save_label("a", str(markups), "final", 5)  # type: ignore[arg-type]
    assert Path(datastore.get_label_uri("a", "final")).is_file()
