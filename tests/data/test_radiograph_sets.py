from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.samples.experiments import Folders, make_folders, save_radiographs

from monai_chexmask_u.data.radiograph_sets import FRONTAL, read_sets


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return make_folders(tmp_path)


def test_folders_are_known_by_what_lies_in_them(folders: Folders) -> None:
    outlined, labeled, frontal = read_sets(folders.all)
    assert [each.kind for each in (outlined, labeled, frontal)] == ["outlined", "labelled", "frontal"]
    assert [each.name for each in (outlined, labeled, frontal)] == ["set_val", "teaching", "scanner"]
    assert [item.key for item in outlined.radiographs] == ["set_val/a", "set_val/b", "set_val/c"]
    assert all(item.landmarks is not None and item.landmarks.shape == (120, 2) for item in outlined.radiographs)
    assert [item.label for item in labeled.radiographs] == [FRONTAL, "hand"]
    assert {item.label for item in frontal.radiographs} == {FRONTAL}
    assert all(item.landmarks is None and item.partner is None for item in (*labeled.radiographs, *frontal.radiographs))


def test_images_may_lie_in_a_folder_of_that_name(folders: Folders, tmp_path: Path) -> None:
    save_radiographs(tmp_path / "other" / "images", ["z"])
    assert [item.name for item in read_sets([folders.outlined, tmp_path / "other"])[1].radiographs] == ["z"]


def test_each_radiograph_is_blended_with_the_next_of_its_folder_whatever_the_limit(folders: Folders) -> None:
    (full,), (one,) = read_sets([folders.outlined]), read_sets([folders.outlined], limit=1)
    assert [item.partner.stem for item in full.radiographs if item.partner] == ["b", "c", "a"]
    assert [(item.name, item.partner) for item in one.radiographs] == [("a", full.radiographs[0].partner)]
    assert (one.found, len(one.radiographs)) == (3, 1)


def test_limit_holds_for_each_label(folders: Folders) -> None:
    table = "file,label\n1.png,hand\n2.png,hand\n1.png,frontal_chest\n"
    (folders.labeled / "labels.csv").write_text(table)
    labeled = read_sets([folders.outlined, folders.labeled], limit=1)[1]
    assert [item.label for item in labeled.radiographs] == ["hand", FRONTAL]


def test_sets_of_one_name_are_distinguished(folders: Folders, tmp_path: Path) -> None:
    save_radiographs(tmp_path / "again" / "scanner", ["x"])
    sets = read_sets([*folders.all, tmp_path / "again" / "scanner"])
    assert [each.name for each in sets] == ["set_val", "teaching", "scanner", "scanner-2"]


def test_fingerprint_tells_radiograph_outline_and_partner(folders: Folders) -> None:
    def fingerprints() -> list[str]:
        return [item.fingerprint() for item in read_sets([folders.outlined])[0].radiographs]

    first = fingerprints()
    assert len(set(first)) == 3
    assert fingerprints() == first
    (folders.outlined / "images" / "b.png").write_bytes((folders.outlined / "images" / "c.png").read_bytes())
    changed = [old != new for old, new in zip(first, fingerprints(), strict=True)]
    assert changed == [True, True, False]  # b itself, and a, which is blended with b
    points = np.load(folders.outlined / "landmarks.npz")["landmarks"] + 1
    np.savez(folders.outlined / "landmarks.npz", names=np.array(["a", "b", "c"]), landmarks=points)
    assert all(old != new for old, new in zip(first, fingerprints(), strict=True))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: (f.labeled / "labels.csv").write_text("name,label\n1.png,hand\n"), "expected the columns file and"),
        (
            lambda f: (f.labeled / "labels.csv").write_text("file,label\n1.png\n"),
            "expected the columns file and label",
        ),
        (lambda f: (f.labeled / "images" / "2.png").unlink(), "1 images of labels.csv are missing, e.g. .'2.png'"),
        (lambda f: (f.outlined / "landmarks.npz").unlink(), "no folder with landmarks among these"),
        (lambda f: [path.unlink() for path in f.frontal.iterdir()], "scanner: no landmarks.npz"),
        (lambda f: f.outlined.rename(f.outlined.with_name("train")), "val: there is no such folder"),
    ],
)
def test_folders_that_cannot_be_used_are_refused_by_name(folders: Folders, change: object, words: str) -> None:
    assert callable(change)
    change(folders)
    with pytest.raises(ValueError, match=words):
        read_sets(folders.all)


def test_folder_of_folders_is_not_taken_for_radiographs(folders: Folders) -> None:
    with pytest.raises(ValueError, match="no landmarks here, but folders val; give one of them"):
        read_sets([folders.outlined, folders.outlined.parent])


def test_names_of_sets_never_meet(tmp_path: Path) -> None:
    folders = make_folders(tmp_path)
    others = [tmp_path / place / name for place, name in (("a", "scanner-2"), ("b", "scanner"), ("c", "scanner"))]
    for folder in others:
        save_radiographs(folder, ["one"])
    names = [each.name for each in read_sets([folders.outlined, folders.frontal, *others])]
    assert names == ["set_val", "scanner", "scanner-2", "scanner-3", "scanner-4"]
