from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from monai_chexmask_u.files.atomic import atomic_path, prepare_folder


@pytest.fixture(params=[0o022, 0o077, 0o002])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_a_file_appears_whole_at_the_end_of_the_block(tmp_path: Path) -> None:
    target = tmp_path / "chest.seg.dcm"
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(".seg.dcm")
        assert temporary.name.startswith(".")  # so that no one takes it for a result
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


def _write_half(target: Path, error: BaseException) -> None:
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
@pytest.mark.parametrize("old", [None, "old"])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException, old: str | None) -> None:
    target = tmp_path / "chest.json"
    if old:
        target.write_text(old)
    with pytest.raises(type(error)):
        _write_half(target, error)
    assert [path.read_text() for path in tmp_path.iterdir()] == ([old] if old else [])


def test_an_old_file_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "chest.json"
    target.write_text("a longer old text")
    with atomic_path(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"


def test_files_have_the_usual_rights(tmp_path: Path, umask: int) -> None:
    target = tmp_path / "chest.json"
    with atomic_path(target) as temporary:
        temporary.write_text("new")
    assert target.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"), atomic_path(tmp_path / "absent" / "chest.json"):
        pytest.fail("there is no place to write")


def test_output_folder_is_made_with_its_parents_and_left_empty(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    prepare_folder(folder)
    prepare_folder(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("below", ["", "results"])
def test_a_file_in_the_place_of_the_folder_is_named_with_a_way_out(tmp_path: Path, below: str) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OSError, match=r"results cannot be written here .* choose another folder") as error:
        prepare_folder(tmp_path / "out" / below)
    assert str(tmp_path / "out") in str(error.value)
