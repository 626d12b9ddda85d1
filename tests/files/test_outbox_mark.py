"""A folder in which objects wait is known as one, so that they are no input."""

from __future__ import annotations

from pathlib import Path

import pytest

from monai_chexmask_u.archive.objects import DicomFile
from monai_chexmask_u.archive.outbox import Outbox
from monai_chexmask_u.files.outbox_mark import is_outbox


def test_outbox_that_objects_came_into_is_one(tmp_path: Path, small_files: list[DicomFile]) -> None:
    Outbox(tmp_path).add(small_files[:1], "PACS@host:104")
    assert is_outbox(tmp_path)
    assert not is_outbox(tmp_path / "refused")


def test_folder_that_may_not_be_looked_into_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: Path) -> bool:
        raise PermissionError(13, "no rights")

    monkeypatch.setattr(Path, "is_file", fails)
    assert not is_outbox(tmp_path)


def test_folder_with_a_part_of_the_mark_is_none(tmp_path: Path) -> None:
    assert not is_outbox(tmp_path / "absent")
    (tmp_path / "refused").mkdir()
    assert not is_outbox(tmp_path)
    (tmp_path / "target.json").mkdir()
    assert not is_outbox(tmp_path)
    (tmp_path / "target.json").rmdir()
    (tmp_path / "refused").rmdir()
    (tmp_path / "target.json").write_text("{}")
    assert not is_outbox(tmp_path)
