from __future__ import annotations

import gzip
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples.collections import RADIOGRAPH_NAMES as NAMES
from support.samples.collections import (
    RADIOGRAPHS,
    dicom_radiograph,
    ids,
    paths,
    png_radiograph,
    write_csv,
    write_files,
    write_tar,
    write_zip,
)

from monai_chexmask_u.dataset.building.listing import Listing, list_radiographs
from monai_chexmask_u.radiograph import RadiographError


@pytest.fixture
def radiographs(tmp_path: Path) -> Path:
    return write_files(tmp_path / "radiographs", RADIOGRAPHS)


def test_a_folder_gives_the_paths_below_it(radiographs: Path) -> None:
    listing = list_radiographs(radiographs)
    assert ids(listing) == paths(listing) == NAMES
    assert [item.file for item in listing.radiographs] == [radiographs / name for name in NAMES]
    assert (listing.left_out, listing.notes) == ({}, ())


def test_a_single_radiograph_is_a_collection(radiographs: Path) -> None:
    assert ids(list_radiographs(radiographs / "b.png")) == ["b.png"]
    (radiographs / "1.2.3").write_bytes(dicom_radiograph())
    assert ids(list_radiographs(radiographs / "1.2.3")) == ["1.2.3"]


@pytest.mark.parametrize("write", [write_zip, write_tar])
@pytest.mark.parametrize("suffix", ["", ".zip", ".tar", ".ZIP"])
def test_an_archive_is_known_by_its_content(write: Any, suffix: str, tmp_path: Path) -> None:
    archive = write(tmp_path / f"radiographs{suffix}", RADIOGRAPHS)
    assert ids(list_radiographs(archive)) == [f"{archive.name}/{name}" for name in NAMES]


def test_a_folder_of_shards_gives_the_radiographs_in_them(tmp_path: Path) -> None:
    write_zip(tmp_path / "0.zip", {"x.png": png_radiograph()})
    (tmp_path / "shards").mkdir()
    write_tar(tmp_path / "shards" / "1.tar", {"x.png": png_radiograph(), "x.json": b"{}"})
    (tmp_path / "2.tar.gz").write_bytes(gzip.compress(b""))
    (tmp_path / "3.zip").write_bytes(b"PK\3\4")
    listing = list_radiographs(tmp_path)
    assert ids(listing) == ["0.zip/x.png", "shards/1.tar/x.png"]
    assert listing.left_out == {
        "archive that ends early or is broken": 1,
        "compressed tar archive: decompress it to .tar first": 1,
        "not an image": 1,
    }


def test_a_compressed_tar_archive_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "radiographs.tar.gz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"decompress it to \.tar"):
        list_radiographs(tmp_path / "radiographs.tar.gz")


@pytest.mark.parametrize("name", ["radiographs.zip", "radiographs.tar"])
def test_a_broken_archive_is_refused_if_nothing_in_it_can_be_read(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\3\4 and no more")
    with pytest.raises(RadiographError, match="broken") as refused:
        list_radiographs(tmp_path / name)
    assert refused.value.code == "not_readable"


def test_what_is_no_radiograph_is_left_out_and_counted(radiographs: Path) -> None:
    others = {
        "labels.csv": b"a",
        "a/b.overlay.png": png_radiograph(),
        "report": b"text",
        "DICOMDIR": dicom_radiograph(),
    }
    hidden = {".b.png": png_radiograph(), ".git/b.png": png_radiograph(), "__MACOSX/b.png": png_radiograph()}
    outbox = {"out/target.json": b"{}", "out/refused/x": b"", "out/b.dcm": dicom_radiograph()}
    write_files(radiographs, {**others, **hidden, **outbox})
    listing = list_radiographs(radiographs)
    assert ids(listing) == NAMES
    assert listing.left_out == {"not an image": len(others)}


def test_no_file_is_opened_whose_name_tells(radiographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    original = os.open

    def watched(path: Path, *arguments: Any, **options: Any) -> Any:
        opened.append(Path(path).name)
        return original(path, *arguments, **options)

    write_files(radiographs, {"a.mask.png": b"", "unknown": b"text"})
    monkeypatch.setattr(os, "open", watched)
    list_radiographs(radiographs)
    assert opened == ["unknown"]


@given(seed=st.integers(0, 999))
def test_the_order_of_the_disk_does_not_matter(seed: int) -> None:
    shuffle = random.Random(seed).shuffle
    original = os.scandir

    @contextmanager
    def shuffled(folder: Path) -> Iterator[Any]:
        with original(folder) as entries:
            mixed = list(entries)
        shuffle(mixed)
        yield mixed

    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = write_files(Path(name), {f"{part}/{n}.png": b"" for part in "abc" for n in range(4)})
        for link, target in (("a/link", "b"), ("linked", "c"), ("b/loop", "."), ("d", "a")):
            (folder / link).symlink_to(folder / target)
        expected = list_radiographs(folder)
        patch.setattr(os, "scandir", shuffled)
        assert list_radiographs(folder) == expected
    assert ids(expected) == [f"{part}/{n}.png" for part in "abc" for n in range(4)]


def test_links_that_run_in_circles_end(radiographs: Path) -> None:
    (radiographs / "a" / "back").symlink_to(radiographs)
    (radiographs / "self.png").symlink_to(radiographs / "self.png")
    (radiographs / "gone.png").symlink_to(radiographs / "nowhere.png")
    listing = list_radiographs(radiographs)
    assert ids(listing) == NAMES
    assert listing.left_out == {"link to a missing file": 2}


def test_links_to_other_folders_are_followed_each_folder_once(radiographs: Path, tmp_path: Path) -> None:
    elsewhere = write_files(tmp_path / "elsewhere", {"e/f.png": png_radiograph()})
    (radiographs / "y").symlink_to(elsewhere)
    (radiographs / "x").symlink_to(elsewhere)
    (radiographs / "z.png").symlink_to(elsewhere / "e" / "f.png")
    assert ids(list_radiographs(radiographs)) == [*NAMES, "x/e/f.png", "z.png"]


def test_a_folder_that_may_not_be_listed_is_an_error(radiographs: Path) -> None:
    (radiographs / "a").chmod(0)
    try:
        if os.access(radiographs / "a", os.R_OK):
            pytest.skip("this user may list every folder")
        with pytest.raises(RadiographError, match="permissions") as refused:
            list_radiographs(radiographs)
        assert refused.value.code == "not_readable"
    finally:
        (radiographs / "a").chmod(0o755)


def test_a_folder_that_fails_while_it_is_listed_is_an_error(radiographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.scandir

    def failing(folder: Path) -> Any:
        if folder.name == "a":
            raise PermissionError(13, "Permission denied")
        return original(folder)

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(RadiographError, match=r"radiographs/a cannot be listed; check its permissions"):
        list_radiographs(radiographs)


def test_names_that_no_table_can_hold_are_left_out(radiographs: Path) -> None:
    (radiographs / os.fsdecode(b"caf\xe9.png")).write_bytes(png_radiograph())
    (radiographs / "café.png").write_bytes(png_radiograph())
    listing = list_radiographs(radiographs)
    assert "café.png" in ids(listing)
    assert listing.left_out == {"name that is not UTF-8": 1}


def test_an_id_of_two_radiographs_is_named_with_both_paths(radiographs: Path) -> None:
    table = write_csv(radiographs / "table.csv", [["path", "id"], *zip(NAMES, "121", strict=True)])
    with pytest.raises(ValueError, match=r"the id 1 .* two radiographs, a/c\.jpg and b\.png"):
        list_radiographs(table)


def test_a_radiograph_that_a_list_names_twice_is_refused(radiographs: Path) -> None:
    (radiographs / "list.txt").write_text("b.png\na/c.jpg\n./b.png\n")
    with pytest.raises(ValueError, match=r"the id b\.png .* b\.png and b\.png"):
        list_radiographs(radiographs / "list.txt")


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(RadiographError, match="check its name") as refused:
        list_radiographs(tmp_path / "gone")
    assert refused.value.code == "not_found"


def test_what_holds_no_radiographs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(b"\x7fELF\0\0")
    with pytest.raises(ValueError, match="no radiograph, list, table or archive"):
        list_radiographs(tmp_path / "program")
    (tmp_path / "empty").mkdir()
    assert list_radiographs(tmp_path / "empty") == Listing((), {})


def test_radiographs_are_found_from_another_folder_too(radiographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(radiographs.parent)
    listing = list_radiographs(Path("radiographs"))
    monkeypatch.chdir("/")
    assert ids(listing) == NAMES
    assert listing.radiographs[0].read().shape == (72, 64)
