"""One film of a collection: where it lies, and how it is read, be it a file or a member of an archive."""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from monai_chexmask_u.radiograph import Radiograph, RadiographError
from monai_chexmask_u.reading import read_radiograph

__all__ = ["Film", "read_film"]


@dataclass(frozen=True)
class Film:
    """A film of a collection, found but not read.

    Attributes:
        image_id: its name; no other film of the collection has the same.
        image_path: as tables hold it, below the folder of images; ``archive/member`` for one in an archive.
        file: the file, or the archive that holds it.
        member: name in a zip archive.
        offset: first byte in a tar archive.
        size: number of bytes in a tar archive.
        view: ``PA`` or ``AP`` by a table of the source, or None.
    """

    image_id: str
    image_path: str
    file: Path
    member: str | None = None
    offset: int | None = None
    size: int | None = None
    view: str | None = None


def read_film(film: Film) -> tuple[Radiograph, str]:
    """Read a film.

    Returns:
        The radiograph, whose path is that of the table, and the SHA-256 of its bytes.

    Raises:
        RadiographError: if it cannot be read or must not be used; `code` tells why.
    """
    if film.member is None and film.offset is None:
        radiograph = read_radiograph(film.file)
        digest = hashlib.sha256(film.file.read_bytes()).hexdigest()
    else:
        content = _member(film)
        digest = hashlib.sha256(content).hexdigest()
        # Readers take files; the suffix decides where content alone does not.
        with tempfile.NamedTemporaryFile(suffix=PurePosixPath(film.image_path).suffix) as copy:
            copy.write(content)
            copy.flush()
            radiograph = read_radiograph(Path(copy.name))
    radiograph = replace(radiograph, path=Path(film.image_path))
    if radiograph.view is None and film.view is not None:
        notes = tuple("view_from_table" if note == "view_unknown" else note for note in radiograph.notes)
        radiograph = replace(radiograph, view=film.view, notes=notes)
    return radiograph, digest


def _member(film: Film) -> bytes:
    """Return the bytes of a film in an archive."""
    try:
        if film.member is not None:
            with zipfile.ZipFile(film.file) as archive:
                return archive.read(film.member)
        with film.file.open("rb") as file:
            file.seek(film.offset or 0)
            content = file.read(film.size)
    except FileNotFoundError as error:
        raise RadiographError("not_found", "there is no such file; check its name") from error
    except (OSError, zipfile.BadZipFile, KeyError, RuntimeError, NotImplementedError) as error:
        raise RadiographError("not_readable", "the file cannot be read; fetch it again") from error
    if len(content) != film.size:
        raise RadiographError("truncated", "its archive ends early or is broken; fetch it again")
    return content
