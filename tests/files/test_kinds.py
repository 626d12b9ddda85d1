"""What kind of file one is follows from its content, else from its name; each refusal has one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.files.kinds import Kind, kind_of, looks_like_dicom, wrong_kind
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_image_file, read_radiograph

DICOM = bytes(128) + b"DICM"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(124)


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("chest.png", DICOM, Kind.DICOM),
        ("chest.tif", b"II*\0" + bytes(124) + b"DICM", Kind.DICOM),
        ("chest.dcm", PNG, Kind.IMAGE),
        ("chest.img", PNG, Kind.IMAGE),
        ("chest.JPEG", b"no image", Kind.IMAGE),
        ("chest.dcm", b"no DICOM", Kind.DICOM),
        ("JPCLN001.IMG", bytes(132), Kind.JSRT),
        ("chest.txt", b"text", None),
        ("chest", b"", None),
    ],
)
def test_content_tells_before_the_name(name: str, head: bytes, kind: Kind | None) -> None:
    assert kind_of(name, head) is kind


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\0" * 128 + b"DICM", True),
        (b"II*\0" + b"\0" * 124 + b"DICM", True),
        (b"\x08\x00\x00\x00\x04\x00\x00\x00\x1e\x01", True),
        (b"\x08\x00\x05\x00CS\x0a\x00ISO", True),
        (b"\x02\x00\x00\x00UL\x04\x00", True),
        (b"\x08\x00\x05\x00\xff\xff\xff\xff", False),
        (b"hello world", False),
        (b"\x89PNG\r\n\x1a\n", False),
        (b"\x08\x00", False),
        (b"", False),
    ],
)
def test_dicom_is_known_by_its_first_bytes(head: bytes, expected: bool) -> None:
    assert looks_like_dicom(head) is expected


def test_every_reader_refuses_in_the_same_words(tmp_path: Path) -> None:
    for name, read, kind in (
        ("a.dcm", read_radiograph, Kind.DICOM),
        ("a.dcm", read_dicom, Kind.DICOM),
        ("a.png", read_radiograph, Kind.IMAGE),
        ("a.png", read_image_file, Kind.IMAGE),
        ("a.txt", read_radiograph, None),
    ):
        path = tmp_path / name
        path.write_bytes(b"hello world" * 100)
        with pytest.raises(RadiographError) as refused:
            read(path)
        expected = wrong_kind(kind)
        assert (refused.value.code, str(refused.value)) == (expected.code, str(expected))
