"""Radiographs in archives: what a zip or tar archive holds, and the bytes of one member, without unpacking the archive.

A member is known by where it starts, so that any process reads it without a look at the archive's other members.
Nothing is ever extracted to the name that an archive gives it.
"""

from __future__ import annotations

import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import is_candidate_head, is_candidate_name

__all__ = [
    "ARCHIVE_BROKEN",
    "ARCHIVE_SUFFIXES",
    "COMPRESSED_TAR",
    "NOT_AN_IMAGE",
    "NO_PLAIN_MEMBER",
    "Member",
    "is_compressed_tar",
    "is_hidden",
    "list_members",
    "read_member",
]

ARCHIVE_SUFFIXES: Final = (".zip", ".tar")
COMPRESSED_SUFFIXES: Final = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")

NOT_AN_IMAGE: Final = "not an image"
ARCHIVE_BROKEN: Final = "archive that ends early or is broken"
NO_PLAIN_MEMBER: Final = "link, sparse file or device in an archive"
COMPRESSED_TAR: Final = "compressed tar archive: decompress it to .tar first"

HEAD_BYTES: Final = 132
LARGEST_RADIOGRAPH: Final = 1 << 30  # bytes; what may be larger is an attack on memory
LARGEST_PLACE: Final = 1 << 63
LOCAL_HEADER: Final = struct.Struct("<6xH18xHH")  # flags, length of the name, length of the extra field
ENCRYPTED: Final = 1


@dataclass(frozen=True)
class Member:
    """A member of an archive.

    Attributes:
        name: in the archive, without a leading ``/`` or ``./``.
        offset: where in the archive its data start (tar) or its own header (zip).
        size: number of bytes of the file.
        method: how a zip archive stores it; None in a tar archive, which stores it as it is.
        packed: number of bytes in a zip archive.
        crc: CRC-32 by the list of a zip archive.
    """

    name: str
    offset: int
    size: int
    method: int | None = None
    packed: int = 0
    crc: int = 0


def is_compressed_tar(name: str) -> bool:
    """Return whether a name is that of a tar archive that cannot be read from the middle."""
    return name.lower().endswith(COMPRESSED_SUFFIXES)


def is_hidden(part: str) -> bool:
    """Return whether a folder of this name holds nothing to read: hidden ones, and what macOS adds to archives."""
    return part == "__MACOSX" or (part.startswith(".") and part not in (".", ".."))


def list_members(archive: Path) -> Iterator[Member | str]:
    """Yield the members that may be radiographs, and for each other file, and for a broken archive, why it is left out.

    A broken tar archive yields what comes before its first fault. Hidden members are passed over.

    Args:
        archive: a zip archive or an uncompressed tar archive.
    """
    try:
        with archive.open("rb") as file:
            members: Iterator[Member | str] = _in_zip(file) if file.read(4) in (b"PK\3\4", b"PK\5\6") else _in_tar(file)
            for member in members:
                if isinstance(member, str):
                    yield member
                    continue
                folders, name = _parts(member.name)
                if not any(is_hidden(part) for part in (*folders, name)):
                    by_name = is_candidate_name(name)
                    if by_name or (by_name is None and _looks_like_a_radiograph(file, member, name)):
                        yield member
                    else:
                        yield NOT_AN_IMAGE
    except (tarfile.TarError, zipfile.BadZipFile, OSError, ValueError, RuntimeError, OverflowError, struct.error):
        yield ARCHIVE_BROKEN


def read_member(archive: Path, member: Member) -> bytes:
    """Return the bytes of a member.

    Raises:
        RadiographError: ``not_found`` if there is no archive, ``not_readable`` if it may not be read or is encrypted,
            ``truncated`` if it ends early or is broken, ``too_large`` above 1 GiB.
    """
    try:
        with archive.open("rb") as file:
            return _content(file, member)
    except FileNotFoundError as error:
        raise RadiographError("not_found", "there is no such archive; check its name") from error
    except OSError as error:
        raise RadiographError("not_readable", "its archive cannot be read; check that you may read it") from error


def _parts(name: str) -> tuple[list[str], str]:
    """Return the folders and the name of a member."""
    *folders, last = name.split("/")
    return folders, last


def _cleaned(name: str) -> str:
    """Return a member's name without leading ``/`` and ``./``."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _in_zip(file: BinaryIO) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    for entry in entries:
        if not entry.is_dir():
            yield Member(
                _cleaned(entry.filename),
                entry.header_offset,
                entry.file_size,
                entry.compress_type,
                entry.compress_size,
                entry.CRC,
            )


def _in_tar(file: BinaryIO) -> Iterator[Member | str]:
    """Yield the plain files of a tar archive, and for what else it holds besides folders, that it does.

    Raises:
        tarfile.TarError: if it is none, ends early or is broken, after the members before.
    """
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:") as archive:
        while (entry := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # else all of them stay in memory
            if entry.isreg() and not entry.issparse():
                yield Member(_cleaned(entry.name), entry.offset_data, entry.size)
            elif not entry.isdir():
                yield NO_PLAIN_MEMBER
        file.seek(archive.offset)
        if any(file.read(tarfile.BLOCKSIZE)):  # tarfile takes a broken header for the archive's end
            raise tarfile.ReadError("broken header")


def _looks_like_a_radiograph(file: BinaryIO, member: Member, name: str) -> bool:
    try:
        return is_candidate_head(name, _content(file, member, only_head=True))
    except RadiographError:
        return False


def _content(file: BinaryIO, member: Member, *, only_head: bool = False) -> bytes:
    """Return the bytes of a member, or its first ones."""
    if max(member.size, member.packed) > LARGEST_RADIOGRAPH and not only_head:
        raise RadiographError("too_large", "the file has more than 1 GiB; it is no radiograph")
    if not 0 <= member.offset < LARGEST_PLACE:
        raise _broken()
    file.seek(member.offset)
    if member.method is not None:
        return _unpacked(file, member, only_head)
    content = file.read(min(member.size, HEAD_BYTES) if only_head else member.size)
    if len(content) < member.size and not only_head:
        raise _broken()
    return content


def _unpacked(file: BinaryIO, member: Member, only_head: bool) -> bytes:
    """Return the bytes of a member of a zip archive, from the place of its header on."""
    header = file.read(30)
    if len(header) < 30 or not header.startswith(b"PK\3\4"):
        raise _broken()
    flags, name_length, extra_length = LOCAL_HEADER.unpack(header)
    if flags & ENCRYPTED:
        raise RadiographError("not_readable", "its archive is encrypted; give it decrypted")
    if member.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise RadiographError("not_readable", "its archive is packed by a rare method; pack it with Deflate")
    file.seek(name_length + extra_length, 1)
    size = min(member.size, HEAD_BYTES) if only_head else member.size
    content = file.read(min(member.packed, 4096) if only_head else member.packed)
    try:
        if member.method == zipfile.ZIP_DEFLATED:
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, max(size, 1))
    except zlib.error as error:
        raise _broken() from error
    content = content[:size]
    if not only_head and (len(content) < size or zlib.crc32(content) != member.crc):
        raise _broken()
    return content


def _broken() -> RadiographError:
    return RadiographError("truncated", "its archive ends early or is broken; fetch it again")
