"""Whatever library writes a file, a full disk is called a full disk."""

from __future__ import annotations

import errno
import json
import pickle
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.processes.full_disk import small_disk
from support.samples.dicom import make_dx

from monai_chexmask_u.files.atomic import atomic_path, prepare_folder
from monai_chexmask_u.files.faults import NotWrittenError, cause_of
from monai_chexmask_u.files.folder_lock import FolderLockError, folder_lock

NOISE = np.random.default_rng(0).integers(0, 256, (400, 400), dtype=np.uint8)


def _with_pillow(path: Path) -> None:
    Image.fromarray(NOISE).save(path, format="PNG")


def _with_torch(path: Path) -> None:
    torch.save(torch.from_numpy(NOISE), path)


def _with_pydicom(path: Path) -> None:
    make_dx(rows=400, columns=400).save_as(path, enforce_file_format=True)


def _with_json(path: Path) -> None:
    path.write_text(json.dumps(NOISE.tolist()))


def _with_numpy(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, NOISE)


def _with_an_error_without_number(path: Path) -> None:
    try:
        path.write_bytes(NOISE.tobytes())
    except OSError:
        raise OSError("could not write") from None


def _with_an_error_of_another_kind(path: Path) -> None:
    try:
        path.write_bytes(NOISE.tobytes())
    except OSError as error:
        raise ValueError("could not write") from error


WRITERS = [
    _with_pillow,
    _with_torch,
    _with_pydicom,
    _with_json,
    _with_numpy,
    _with_an_error_without_number,
    _with_an_error_of_another_kind,
]


def write(write_with: Callable[[Path], None], target: Path) -> None:
    with atomic_path(target) as temporary:
        write_with(temporary)


@pytest.mark.parametrize("write_with", WRITERS)
def test_a_full_disk_is_named_and_nothing_is_left_on_it(tmp_path: Path, write_with: Callable[[Path], None]) -> None:
    with small_disk(tmp_path / "disk", kilobytes=100) as disk:
        (disk / "old.json").write_text("old")
        with pytest.raises(NotWrittenError) as caught:
            write(write_with, disk / "chest.json")
        expected = f"{disk}/chest.json: this file cannot be written (the disk is full: No space left on device)"
        assert str(caught.value) == expected
        assert caught.value.errno == errno.ENOSPC
        assert [path.name for path in disk.iterdir()] == ["old.json"]


@pytest.fixture
def limited_files() -> Iterator[None]:
    """No file of more than 20,000 bytes can be written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("write_with", WRITERS)
def test_a_limit_on_the_size_of_files_is_named(
    tmp_path: Path, limited_files: None, write_with: Callable[[Path], None]
) -> None:
    with pytest.raises(NotWrittenError, match=r"limit of this process allows: File too large") as caught:
        write(write_with, tmp_path / "chest.json")
    assert caught.value.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [ValueError("an odd header"), RuntimeError("out of memory"), OSError("odd")])
def test_an_error_that_is_not_the_disks_stays_as_it_is(tmp_path: Path, error: Exception) -> None:
    def fail(_: Path) -> None:
        raise error

    with pytest.raises(type(error), match=str(error)):
        write(fail, tmp_path / "chest.json")


def test_a_full_disk_is_told_before_any_work(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kilobytes=100) as disk:
        (disk / "large").write_bytes(bytes(98 * 1024))
        with pytest.raises(OSError, match=r"cannot be written here \(the disk is full: .* choose another folder"):
            prepare_folder(disk)


def test_a_read_only_disk_is_named(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kilobytes=100, read_only=True) as disk:
        with pytest.raises(OSError, match=r"\(Read-only file system\)"):
            prepare_folder(disk)
        with pytest.raises(NotWrittenError, match=r"\(Read-only file system\)"):
            write(_with_json, disk / "chest.json")
        with pytest.raises(FolderLockError, match="Read-only file system"), folder_lock(disk):
            pass


def test_a_name_that_is_too_long_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotWrittenError, match="the name is too long for this disk: File name too long"):
        write(_with_json, tmp_path / f"{'a' * 300}.json")


@pytest.mark.parametrize("suffix", [f".{'b' * 230}.json", f".{'b' * 240}"])
def test_a_long_suffix_does_not_make_the_temporary_name_too_long(tmp_path: Path, suffix: str) -> None:
    write(_with_json, tmp_path / f"a{suffix}")
    assert (tmp_path / f"a{suffix}").read_text().startswith("[[")


def test_an_error_passes_from_one_process_to_another() -> None:
    error: Any = NotWrittenError(OSError(errno.ENOSPC, "No space left on device"), Path("chest.json"))
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.errno) == (str(error), errno.ENOSPC)


def test_an_error_without_words_is_named_by_its_kind() -> None:
    assert cause_of(OSError("odd")) == "OSError"
    assert cause_of(OSError(errno.ENOSPC, "")) == "the disk is full: No space left on device"
    assert cause_of(OSError(errno.ENOTDIR, "Not a directory")) == "Not a directory"
