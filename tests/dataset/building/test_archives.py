from __future__ import annotations

import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples.collections import dicom_radiograph, jpeg_radiograph, png_radiograph, write_tar, write_zip

from monai_chexmask_u.dataset.building import archives
from monai_chexmask_u.dataset.building.archives import (
    ARCHIVE_BROKEN,
    NO_PLAIN_MEMBER,
    NOT_AN_IMAGE,
    Member,
    list_members,
    read_member,
)
from monai_chexmask_u.dataset.building.listing import list_radiographs
from monai_chexmask_u.radiograph import RadiographError

WRITERS = {"radiographs.zip": write_zip, "radiographs.tar": write_tar}
both = pytest.mark.parametrize("name", WRITERS)


def members(archive: Path) -> dict[str, Member]:
    return {found.name: found for found in list_members(archive) if isinstance(found, Member)}


def refusal(archive: Path, member: Member) -> str:
    with pytest.raises(RadiographError) as refused:
        read_member(archive, member)
    assert member.name not in str(refused.value)
    assert str(archive) not in str(refused.value)
    return refused.value.code


def only(archive: Path) -> Member:
    (member,) = members(archive).values()
    return member


@both
@given(files=st.dictionaries(st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?\.png", fullmatch=True), st.binary(max_size=700)))
def test_each_member_is_read_as_it_was_packed(name: str, files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive = WRITERS[name](Path(folder) / name, files)
        assert {member.name: read_member(archive, member) for member in members(archive).values()} == files


def test_members_that_are_not_deflated_are_read(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "radiographs.zip", {"a.png": png_radiograph()}, method=zipfile.ZIP_STORED)
    assert read_member(archive, only(archive)) == png_radiograph()


def test_a_rare_packing_is_refused_with_what_to_do(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "radiographs.zip", {"a.png": png_radiograph()}, method=zipfile.ZIP_BZIP2)
    with pytest.raises(RadiographError, match="Deflate") as refused:
        read_member(archive, only(archive))
    assert refused.value.code == "not_readable"


@both
def test_a_member_is_read_without_a_look_at_the_others(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = WRITERS[name](tmp_path / name, {"a.png": png_radiograph(1), "b.jpg": jpeg_radiograph(2)})
    member = members(archive)["b.jpg"]
    monkeypatch.setattr(tarfile, "open", None)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    assert read_member(archive, member) == jpeg_radiograph(2)


@both
def test_names_are_cleaned_of_what_says_nothing(name: str, tmp_path: Path) -> None:
    files = {"./a.png": png_radiograph(1), "/b/c.png": png_radiograph(2), "d//e.png": png_radiograph(3)}
    archive = WRITERS[name](tmp_path / name, files)
    assert set(members(archive)) == {"a.png", "b/c.png", "d/e.png"}
    assert read_member(archive, members(archive)["b/c.png"]) == png_radiograph(2)


@both
def test_names_that_lead_out_of_a_folder_are_only_names(name: str, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    archive = WRITERS[name](tmp_path / "inner" / name, {"../../evil.png": png_radiograph()})
    assert read_member(archive, only(archive)) == png_radiograph()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [name]


@both
def test_what_is_no_radiograph_is_counted_and_what_is_hidden_is_passed_over(name: str, tmp_path: Path) -> None:
    files = {
        "a.png": png_radiograph(),
        "1.2.840.7": dicom_radiograph(),
        "scan": dicom_radiograph(),
        "raw.IMG": b"no header",
        "labels.csv": b"a,b\n" * 100,
        "short": b"",
        "a.mask.png": png_radiograph(),
        "DICOMDIR": dicom_radiograph(),
        ".a.png": png_radiograph(),
        ".git/b.png": png_radiograph(),
        "__MACOSX/._a.png": png_radiograph(),
        "__MACOSX/a.png": png_radiograph(),
    }
    found = list(list_members(WRITERS[name](tmp_path / name, files)))
    assert {one.name for one in found if isinstance(one, Member)} == {"a.png", "1.2.840.7", "scan", "raw.IMG"}
    assert [one for one in found if isinstance(one, str)] == [NOT_AN_IMAGE] * 4


def test_folders_and_links_of_a_tar_archive_are_no_radiographs(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "radiographs.tar", "w") as archive:
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            entry = tarfile.TarInfo(f"{kind!r}.png")
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
    assert list(list_members(tmp_path / "radiographs.tar")) == [NO_PLAIN_MEMBER] * 3


def test_long_names_of_a_tar_archive_are_whole(tmp_path: Path) -> None:
    name = "/".join(["folder" * 9] * 5) + "/radiograph.png"
    archive = write_tar(tmp_path / "radiographs.tar", {name: png_radiograph(1), "b.png": png_radiograph(2)})
    assert {name: read_member(archive, member) for name, member in members(archive).items()} == {
        name: png_radiograph(1),
        "b.png": png_radiograph(2),
    }


def test_a_truncated_tar_archive_gives_what_comes_before(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "radiographs.tar", {"a.png": png_radiograph(1), "b.png": png_radiograph(2)})
    whole = members(archive)
    archive.write_bytes(archive.read_bytes()[: whole["b.png"].offset + 100])
    found = list(list_members(archive))
    assert found == [whole["a.png"], whole["b.png"], ARCHIVE_BROKEN]
    assert read_member(archive, whole["a.png"]) == png_radiograph(1)
    assert refusal(archive, whole["b.png"]) == "truncated"


def test_a_broken_header_in_a_tar_archive_is_not_taken_for_its_end(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "radiographs.tar", {"a.png": png_radiograph(1), "b.png": png_radiograph(2)})
    content = bytearray(archive.read_bytes())
    place = members(archive)["b.png"].offset - tarfile.BLOCKSIZE
    content[place : place + 8] = b"\xff" * 8
    archive.write_bytes(content)
    found = list(list_members(archive))
    assert [getattr(one, "name", one) for one in found] == ["a.png", ARCHIVE_BROKEN]


def test_a_tar_archive_without_its_end_marks_is_whole(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "radiographs.tar", {"a.png": png_radiograph()})
    member = only(archive)
    blocks = -(-member.size // tarfile.BLOCKSIZE)
    archive.write_bytes(archive.read_bytes()[: member.offset + blocks * tarfile.BLOCKSIZE])
    assert list(list_members(archive)) == [member]


def cut(content: bytes) -> bytes:
    return content[:-30]


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0x55]) + content[middle + 1 :]


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"no archive at all" * 100, cut(b"PK\3\4" + bytes(900))])
@both
def test_what_is_no_archive_is_broken(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert list(list_members(tmp_path / name)) == [ARCHIVE_BROKEN]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("damage", [lambda content: content[:200], flip], ids=["cut", "flip"])
def test_a_damaged_zip_archive_gives_no_wrong_bytes(
    damage: Callable[[bytes], bytes], method: int, tmp_path: Path
) -> None:
    archive = write_zip(tmp_path / "radiographs.zip", {"a.png": png_radiograph()}, method=method)
    member = only(archive)
    archive.write_bytes(damage(archive.read_bytes()))
    assert refusal(archive, member) == "truncated"


def test_an_encrypted_member_is_not_readable(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "radiographs.zip", {"a.png": png_radiograph(), "b": dicom_radiograph()})
    content = bytearray(archive.read_bytes())
    content[6] |= 1  # the flag in the header of the first member
    second = members(archive)["b"].offset
    content[second + 6] |= 1
    archive.write_bytes(content)
    assert set(members(archive)) == {"a.png"}  # what has no suffix cannot be told
    assert refusal(archive, members(archive)["a.png"]) == "not_readable"


@both
def test_an_archive_that_is_gone_is_not_found(name: str, tmp_path: Path) -> None:
    archive = WRITERS[name](tmp_path / name, {"a.png": png_radiograph()})
    member = only(archive)
    archive.unlink()
    assert refusal(archive, member) == "not_found"


@both
def test_a_folder_in_the_place_of_an_archive_is_not_readable(name: str, tmp_path: Path) -> None:
    member = only(WRITERS[name](tmp_path / name, {"a.png": png_radiograph()}))
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    assert refusal(tmp_path / name, member) == "not_readable"


@both
def test_what_is_larger_than_any_radiograph_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = WRITERS[name](tmp_path / name, {"a.png": png_radiograph()})
    monkeypatch.setattr(archives, "LARGEST_RADIOGRAPH", 100)
    assert refusal(archive, only(archive)) == "too_large"


def test_a_member_never_gets_larger_than_the_archive_says(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "bomb.zip", {"a.png": bytes(5_000_000)})
    member = only(archive)
    lie = Member(member.name, member.offset, 10, member.method, member.packed, member.crc)
    assert refusal(archive, lie) == "truncated"


@pytest.mark.parametrize("name", WRITERS)
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_no_damaged_byte_raises_anything_else(name: str, place: float, value: int) -> None:
    content = bytearray(PRISTINE[name])
    content[int(place * len(content))] = value
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / name
        archive.write_bytes(content)
        for found in list_members(archive):
            if isinstance(found, Member):
                content_or_code(archive, found)


def content_or_code(archive: Path, member: Member) -> bytes | str:
    try:
        return read_member(archive, member)
    except RadiographError as error:
        return error.code


def _pristine(name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        files = {"a.png": b"radiograph" * 9, "b": bytes(128) + b"DICM", "c": b"text"}
        return WRITERS[name](Path(folder) / name, files).read_bytes()


PRISTINE = {name: _pristine(name) for name in WRITERS}


@given(offset=st.integers(0, 2**64), size=st.integers(0, 2**40), method=st.sampled_from([None, 0, 8, 14]))
def test_a_member_at_an_impossible_place_is_refused(offset: int, size: int, method: int | None) -> None:
    with tempfile.NamedTemporaryFile(suffix=".zip") as archive:
        archive.write(PRISTINE["radiographs.zip"])
        archive.flush()
        got = content_or_code(Path(archive.name), Member("a.png", offset, size, method, size))
        assert got in ("truncated", "not_readable", "too_large") or len(got) == size


def test_links_in_a_tar_archive_are_counted_as_left_out(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(png_radiograph(0))
    (tmp_path / "hard.png").hardlink_to(tmp_path / "one.png")
    (tmp_path / "soft.png").symlink_to("one.png")
    with tarfile.open(tmp_path / "radiographs.tar", "w") as archive:
        for name in ("one.png", "hard.png", "soft.png"):
            archive.add(tmp_path / name, name)
    listing = list_radiographs(tmp_path / "radiographs.tar")
    assert len(listing.radiographs) == 1
    assert listing.left_out == {"link, sparse file or device in an archive": 2}
