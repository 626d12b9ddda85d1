"""Any folder can be listed: deep, large, with links in circles, with pipes and devices, with parts nobody may read."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monai_chexmask_u.files.folder_tree import is_outbox
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import list_inputs


def listed(*paths: Path) -> tuple[list[Path], list[str]]:
    problems: list[str] = []
    found = list_inputs(paths, on_problem=lambda path, problem: problems.append(f"{path.name} {problem.code}"))
    return found, problems


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """2,500 folders in one another, each with an image; the paths of the deepest are too long for the system."""
    start = Path.cwd()
    os.chdir(tmp_path)
    try:
        for _ in range(2500):
            Path("a.png").touch()
            Path("d").mkdir()
            os.chdir("d")
    finally:
        os.chdir(start)
    yield tmp_path
    subprocess.run(["rm", "-rf", str(tmp_path)], check=True)  # pytest's own way would recurse


def test_a_tree_deeper_than_pythons_stack_is_listed_as_far_as_its_paths_go(deep: Path) -> None:
    found, problems = listed(deep)
    assert len(found) > 1900
    assert found[:2] == [deep / "a.png", deep / "d" / "a.png"]
    assert problems == ["d not_readable"]


def test_twenty_thousand_files_are_listed_in_three_seconds(tmp_path: Path) -> None:
    for number in range(100):
        folder = tmp_path / f"{number:03}"
        folder.mkdir()
        for name in range(200):
            (folder / f"{name:03}.dcm").touch()
    begin = time.process_time()
    found, _ = listed(tmp_path)
    assert time.process_time() - begin < 3  # it is the promise
    assert len(found) == 20_000
    assert found == sorted(found)


def test_files_whose_names_tell_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.dcm", "b.png", "c.overlay.png", "d.IMG"):
        (tmp_path / name).write_bytes(b"?")

    def refuse(*_: object) -> None:
        pytest.fail("a file was opened")

    monkeypatch.setattr(os, "open", refuse)
    assert [path.name for path in listed(tmp_path)[0]] == ["a.dcm", "b.png", "d.IMG"]


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    tmp_path /= "in"
    tmp_path.mkdir()
    chest = tmp_path / "chest.png"
    chest.touch()
    for name in ("pipe.png", "1.2.3"):
        os.mkfifo(tmp_path / name)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.dcm"))
        for name, target in (("zero.png", "/dev/zero"), ("self.png", "self.png"), ("gone.png", "gone"), ("up", "..")):
            (tmp_path / name).symlink_to(target)
        for name, target in (("1", "2"), ("2", "1")):
            (tmp_path / name).symlink_to(target)
        found, problems = listed(tmp_path)
    assert [path.name for path in found if path.parent == tmp_path] == ["chest.png"]
    assert problems == []


def test_links_in_circles_and_to_one_file_give_it_once(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "chest.png").touch()
    for number in range(10):
        (tmp_path / "a" / "b" / f"circle{number}").symlink_to("../..")
        (tmp_path / "a" / f"link{number}.png").symlink_to("b/chest.png")
    found, _ = listed(tmp_path, tmp_path / "a", tmp_path / "a" / "b" / "chest.png", tmp_path / "a" / "link3.png")
    assert found == [tmp_path / "a" / "b" / "chest.png"]


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders, of which one has a part that cannot be listed, by anybody."""
    for name in ("one/a", "one/locked", "one/z", "two"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "chest.png").touch()
    scandir = os.scandir

    def refuse(folder: str) -> object:
        if isinstance(folder, str) and Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    return tmp_path


def test_a_folder_that_cannot_be_listed_does_not_end_the_search(locked: Path) -> None:
    found, problems = listed(locked / "one", locked / "two", locked / "one" / "locked")
    assert [path.parent.name for path in found] == ["a", "z", "two"]
    assert problems == ["locked not_readable"] * 2


def test_without_somebody_to_tell_the_folder_is_an_error(locked: Path) -> None:
    with pytest.raises(
        RadiographError, match=r"locked cannot be listed \(you may not write there|Permission denied"
    ) as e:
        list_inputs([locked / "one"])
    assert e.value.code == "not_readable"


def test_a_path_that_is_too_long_is_a_problem_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "chest.png").touch()
    found, problems = listed(tmp_path / ("a" * 5000), tmp_path)
    assert (found, [problem[-12:] for problem in problems]) == ([tmp_path / "chest.png"], ["not_readable"])


def test_folder_that_may_not_be_looked_into_is_no_outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: Path) -> bool:
        raise PermissionError(13, "no rights")

    monkeypatch.setattr(Path, "is_file", fails)
    assert not is_outbox(tmp_path)


def test_folder_with_a_part_of_the_mark_is_no_outbox(tmp_path: Path) -> None:
    assert not is_outbox(tmp_path / "absent")
    (tmp_path / "refused").mkdir()
    assert not is_outbox(tmp_path)
    (tmp_path / "target.json").mkdir()
    assert not is_outbox(tmp_path)
    (tmp_path / "target.json").rmdir()
    (tmp_path / "refused").rmdir()
    (tmp_path / "target.json").write_text("{}")
    assert not is_outbox(tmp_path)
