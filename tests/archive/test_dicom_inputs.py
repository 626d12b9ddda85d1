"""Which files are sent: no tree is too deep, and nothing in it holds the program or ends its run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.samples.dicom import make_cr, save

from monai_chexmask_u.archive.dicom_inputs import find_dicom_files
from monai_chexmask_u.archive.objects import DicomFile, read_dicom_file
from monai_chexmask_u.archive.outbox import Outbox


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """A file that is found whatever else is there."""
    return save(make_cr(rows=8, columns=8), tmp_path / "z.dcm")


def find(folder: Path) -> list[Path]:
    return find_dicom_files([folder], leave_out=folder / "outbox")


@pytest.fixture
def deepest(tmp_path: Path, found: Path) -> Iterator[Path]:
    """An object in a folder that is 1,500 folders deep."""
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        for _ in range(1500):
            os.mkdir("d")  # noqa: PTH102 (the whole path would be made anew each time)
            os.chdir("d")
        os.link(found, "a.dcm")
        os.chdir(before)
        yield tmp_path.joinpath(*["d"] * 1500, "a.dcm")
    finally:
        os.chdir(before)
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)  # Python's own removal is recursive


def test_tree_of_1500_folders_is_searched_to_its_end(tmp_path: Path, found: Path, deepest: Path) -> None:
    assert find(tmp_path) == [deepest, found]


@pytest.mark.parametrize("name", ["a.dcm", "DICOMDIR", "plain"])
@pytest.mark.parametrize("kind", ["FIFO", "socket", "link to itself", "dead link", "link to a device"])
def test_what_is_no_file_is_passed_over(tmp_path: Path, found: Path, name: str, kind: str) -> None:
    path = tmp_path / name
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        os.mknod(path, 0o140600)
    else:
        path.symlink_to({"link to itself": name, "dead link": "absent", "link to a device": "/dev/zero"}[kind])
    assert find(tmp_path) == [found]


def test_fifo_that_is_named_is_told_and_others_go(tmp_path: Path, found: Path) -> None:
    os.mkfifo(tmp_path / "a.dcm")
    paths = find_dicom_files([tmp_path / "a.dcm", found], leave_out=tmp_path / "outbox")
    assert paths == [tmp_path / "a.dcm", found]
    with pytest.raises(ValueError, match="this is no regular file"):
        read_dicom_file(paths[0])


def test_folder_that_cannot_be_listed_is_told_and_others_go(
    tmp_path: Path, found: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests may run as root, who may read all folders."""
    (tmp_path / "closed").mkdir()
    real = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert find(tmp_path) == [tmp_path / "closed", found]


def test_file_in_a_folder_that_cannot_be_entered_is_told_and_others_go(
    tmp_path: Path, found: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.stat

    def stat(path: Path, **options: bool) -> os.stat_result:
        if path.name == "closed.dcm":
            raise PermissionError(13, "Permission denied")
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    paths = [tmp_path / "closed.dcm", found]
    assert find_dicom_files(paths, leave_out=tmp_path / "outbox") == paths


def test_links_to_folders_are_not_followed(tmp_path: Path, found: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "up").symlink_to("..")
    assert find(tmp_path) == [found]


def test_link_into_the_outbox_is_not_followed(tmp_path: Path, found: Path, small_files: list[DicomFile]) -> None:
    box = Outbox(tmp_path / "outbox")
    box.add(small_files[:1], "https://archive.example")
    (tmp_path / "a.dcm").symlink_to(box.waiting()[0])
    assert find(tmp_path) == [found]


def test_folder_that_will_be_the_outbox_is_left_out_unless_it_is_searched_itself(tmp_path: Path) -> None:
    outbox, beside = tmp_path / "outbox", save(make_cr(rows=8, columns=8), tmp_path / "a.dcm")
    outbox.mkdir()
    inside = save(make_cr(rows=8, columns=8), outbox / "b.dcm")
    assert find_dicom_files([tmp_path], leave_out=outbox) == [beside]
    assert find_dicom_files([outbox], leave_out=outbox) == [inside]


def test_link_to_a_folder_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    save(make_cr(rows=8, columns=8), tmp_path / "elsewhere" / "a.dcm")
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    assert find_dicom_files([folder], leave_out=tmp_path / "outbox") == []
