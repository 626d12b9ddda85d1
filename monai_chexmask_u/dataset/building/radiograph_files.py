"""One radiograph of a collection: where it lies, and how it is read, be it a file or a member of an archive."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from monai_chexmask_u.dataset.building.archives import Member, read_member
from monai_chexmask_u.radiograph import Radiograph, RadiographError
from monai_chexmask_u.reading import is_candidate_name, read_radiograph

__all__ = ["RadiographFile"]


@dataclass(frozen=True)
class RadiographFile:
    """A radiograph of a collection, found but not read.

    Attributes:
        image_id: its name; no other radiograph of the collection has the same.
        image_path: as tables hold it, below the folder of images; ``archive/member`` for one in an archive.
        file: the file, or the archive that holds it.
        member: which of the archive's members it is, or None for a file.
        view: ``PA`` or ``AP`` by a table of the source, or None.
    """

    image_id: str
    image_path: str
    file: Path
    member: Member | None = None
    view: str | None = None

    def read(self) -> Radiograph:
        """Read the radiograph; its path is that of the table.

        Raises:
            RadiographError: if it cannot be read or must not be used; `code` tells why.
        """
        if self.file.exists() and not self.file.is_file():  # reading a pipe would never end
            raise RadiographError("not_readable", "this is a folder, a pipe or a device; give a file")
        if self.member is None:
            radiograph = read_radiograph(self.file)
        else:
            content = read_member(self.file, self.member)
            # Readers take files; the suffix decides where content alone does not.
            with tempfile.NamedTemporaryFile(suffix=_suffix(self.member.name)) as copy:
                copy.write(content)
                copy.flush()
                radiograph = read_radiograph(Path(copy.name))
        radiograph = replace(radiograph, path=Path(self.image_path))
        if radiograph.view is None and self.view is not None:
            notes = tuple("view_from_table" if note == "view_unknown" else note for note in radiograph.notes)
            radiograph = replace(radiograph, view=self.view, notes=notes)
        return radiograph


def _suffix(name: str) -> str:
    """Return the suffix of a name if it is one that readers know; names in archives may be anything."""
    suffix = PurePosixPath(name).suffix
    return suffix if is_candidate_name(f"radiograph{suffix}") else ""
