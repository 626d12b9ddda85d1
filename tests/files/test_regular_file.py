"""A file is read once, and nothing but a regular file is opened."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.samples.dicom import make_dx, save

from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.files.regular_file import open_source, read_head
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_image_file, read_radiograph


@pytest.fixture(params=["pipe", "pipe with a writer", "socket", "folder", "/dev/zero", "/dev/null", "link to a pipe"])
def irregular(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Something with the name of an image that is no file."""
    path, kind = tmp_path / "chest.dcm", request.param
    handle: int | socket.socket | None = None
    if kind == "folder":
        path.mkdir()
    elif kind == "socket":
        handle = socket.socket(socket.AF_UNIX)
        handle.bind(str(path))
    elif "pipe" in kind:
        pipe = tmp_path / "pipe" if kind.startswith("link") else path
        os.mkfifo(pipe)
        if pipe is not path:
            path.symlink_to(pipe)
        if "writer" in kind:
            handle = os.open(pipe, os.O_RDWR)
    else:
        path.symlink_to(kind)
    yield path
    if isinstance(handle, socket.socket):
        handle.close()
    elif handle is not None:
        os.close(handle)


@pytest.mark.parametrize("read", [read_radiograph, read_dicom, read_image_file, read_head])
def test_what_is_no_file_is_refused_at_once(irregular: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(RadiographError, match="a folder, a pipe or a device; give a file") as refused:
        read(irregular)
    assert refused.value.code == "not_readable"


@pytest.mark.parametrize(
    ("name", "code"),
    [("absent", "not_found"), ("a" * 300, "not_readable"), ("nul\0", "not_found"), ("file/below", "not_found")],
)
def test_a_name_that_leads_nowhere_is_refused(tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(RadiographError) as refused:
        read_head(tmp_path / name)
    assert refused.value.code == code


def test_the_checksum_is_that_of_the_bytes_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"first")
    with open_source(path, limit=5) as source:
        path.write_bytes(b"second")
        assert (source.stream.read(), source.size, source.is_oversized) == (b"first", 5, False)
        assert source.sha256 == hashlib.sha256(b"first").hexdigest()


def test_a_file_above_the_limit_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with open_source(path, limit=1000) as source:
        assert (source.size, source.sha256, source.is_oversized) == (1 << 40, None, True)
        assert source.stream.read(3) == bytes(3)


@pytest.mark.parametrize("kind", ["DICOM", "PNG", "TIFF"])
def test_every_reader_tells_the_checksum_of_its_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "chest"
    if kind == "DICOM":
        save(make_dx(rows=80, columns=64), path)
    else:
        Image.fromarray(np.arange(80 * 64).astype(np.uint8).reshape(80, 64)).save(path, format=kind)
    assert read_radiograph(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_header_does_not_keep_the_file_in_memory(tmp_path: Path) -> None:
    header = read_dicom(save(make_dx(rows=80, columns=64), tmp_path / "chest.dcm")).header
    assert header.buffer is None


def test_a_image_of_too_many_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chest.png"
    Image.fromarray(np.arange(80 * 64).astype(np.uint8).reshape(80, 64)).save(path)
    os.truncate(path, 1 << 40)
    with pytest.raises(RadiographError) as refused:
        read_radiograph(path)
    assert refused.value.code == "too_large"
