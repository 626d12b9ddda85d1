"""The outbox: a folder in which objects wait until an archive has confirmed them.

Each object is a file named after its SOP Instance UID. It comes in whole or not at all, and leaves only when the
archive has confirmed it, or refused it for good: then it goes to ``refused``, beside the reason. A process may be
killed at any point: at worst, an object is sent once more, and an archive takes it for the same one, or says that it
has it.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from monai_chexmask_u.archive.objects import DicomFile, is_uid
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.files.folder_lock import folder_lock
from monai_chexmask_u.files.folder_tree import REFUSED, TARGET
from monai_chexmask_u.files.regular_file import open_regular, read_note

__all__ = ["Outbox", "Refusal", "Version"]

Version = tuple[int, int, int]  # inode, time of the last change, size

_CHANGING: Final = ".adding"  # the lock of those who change what waits, each for a moment
_SENDING: Final = ".sending"
_ADVICE: Final = "wait until it has ended, or choose another folder with --outbox"
_LONGEST_TEXT: Final = 500


@dataclass(frozen=True)
class Refusal:
    """An object that the archive will never take, and why. It holds no patient data.

    Attributes:
        sop_instance_uid: which object.
        reason: one sentence.
        target: the archive.
        refused_at: date and time, UTC, ISO 8601.
    """

    sop_instance_uid: str
    reason: str
    target: str
    refused_at: str


class Outbox:
    """Objects on their way to one archive. Several processes may use it at once.

    Args:
        folder: where they lie; made for its owner alone (0700) if it is not there, else its rights stay as they are.
        patience_s: how long to wait for another process that adds objects, or sends.

    Raises:
        OSError: if it cannot be made or written to.
    """

    def __init__(self, folder: Path, *, patience_s: float = 60.0) -> None:
        """Make the folder."""
        self.folder = folder
        self._patience_s = patience_s
        self._refused = folder / REFUSED
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            for each in (folder, self._refused):  # patient data: its owner's alone
                each.mkdir(mode=0o700, exist_ok=True)
            if self._refused.is_symlink():
                raise OSError(f"{self._refused.name} is a link to another folder")
        except OSError as error:
            cause = f"no outbox can be made here ({error.strerror or error}); choose another folder with --outbox"
            raise OSError(f"{folder}: {cause}") from error

    def add(self, files: Iterable[DicomFile], target: str) -> None:
        """Put copies of files into the outbox; an object that is there already is replaced.

        Args:
            files: what to send.
            target: the archive's name.

        Raises:
            ValueError: if objects wait here for another archive.
            OSError: if a file cannot be copied; those before it are in the outbox.
        """
        with self._changing():
            self._sweep()
            self._dedicate(target)
            for file in files:
                path = self.folder / f"{file.sop_instance_uid}.dcm"
                with atomic_path(path) as temporary:
                    with open_regular(file.path) as source, temporary.open("wb") as copy:
                        shutil.copyfileobj(source, copy, 1024**2)
                    _flush(temporary)
                self._forget_refusal(file.sop_instance_uid)
            _flush(self.folder)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Hold the right to send, which one process has at a time; wait for it where another one has it.

        Raises:
            FolderLockError: if that process still has it when the patience is over; the message names it.
        """
        activity = "sends what waits here"
        with folder_lock(self.folder, timeout=self._patience_s, name=_SENDING, activity=activity, advice=_ADVICE):
            yield

    def waiting(self) -> list[Path]:
        """Return the objects that wait, those first that came first; what is no regular file is none of them."""
        return [path for _, path in sorted(_objects_in(self.folder))]

    def strangers(self) -> list[Path]:
        """Return what lies where objects wait and is no regular file, such as a link: it is never sent."""
        return [path for path in sorted(self.folder.glob("*.dcm")) if path.is_symlink() or not path.is_file()]

    def misnamed(self) -> list[Path]:
        """Return the files that lie where objects wait and have names that no object's file has: they are not sent."""
        return [path for path in sorted(self.folder.glob("*.dcm")) if not is_uid(path.stem) and _is_regular(path)]

    def waiting_for(self, target: str) -> list[Path]:
        """Return the objects that wait for an archive; none, where the outbox serves another one by now."""
        with self._changing():
            return self.waiting() if self.target() == target else []

    def target(self) -> str | None:
        """Return the name of the archive that objects wait for, or waited for last.

        Raises:
            ValueError: if its file is damaged.
        """
        path = self.folder / TARGET
        try:
            return _line(_fields(path)["target"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            message = 'this file is damaged; name the archive in it again, as in {"target": "PACS@pacs.example:104"}'
            raise ValueError(f"{path}: {message}") from None

    def version(self, path: Path) -> Version:
        """Return what tells an object that waits from one that replaces it; take it before sending."""
        status = path.lstat()
        return status.st_ino, status.st_mtime_ns, status.st_size

    def confirm(self, path: Path, version: Version) -> None:
        """Let an object go that the archive has confirmed, unless it was replaced since."""
        with self._changing():
            if self._is_still(path, version):
                path.unlink()

    def refuse(self, path: Path, version: Version, reason: str) -> Refusal | None:
        """Put an object aside that the archive will never take.

        Returns:
            What is kept of it; None if it was replaced since, and waits.
        """
        with self._changing():
            if not self._is_still(path, version):
                return None
            now = datetime.now(UTC).isoformat(timespec="seconds")
            refusal = Refusal(path.stem, reason, self.target() or "", now)
            # The reason first: a process that is killed in between leaves the object where it waits.
            with atomic_path(self._refused / f"{path.stem}.json") as temporary:
                temporary.write_text(json.dumps(asdict(refusal), indent=1) + "\n", encoding="utf-8")
            path.replace(self._refused / path.name)
            return refusal

    def refusals(self) -> list[Refusal]:
        """Return all that was refused and not sent again since."""
        paths = sorted(path for _, path in _objects_in(self._refused))
        return [_read_refusal(path.with_suffix(".json")) for path in paths]

    def _is_still(self, path: Path, version: Version) -> bool:
        try:
            return self.version(path) == version
        except FileNotFoundError:
            return False

    def _dedicate(self, target: str) -> None:
        """See that nothing waits for another archive: its objects must not go astray."""
        other = self.target()
        if other == target:
            return
        waiting = len(self.waiting())
        if waiting:
            raise ValueError(
                f"{self.folder}: objects for {other} wait here ({waiting}); send them there first, "
                "or choose another folder with --outbox"
            )
        with atomic_path(self.folder / TARGET) as temporary:
            temporary.write_text(json.dumps({"target": target}) + "\n", encoding="utf-8")

    def _forget_refusal(self, uid: str) -> None:
        for suffix in (".dcm", ".json"):
            (self._refused / f"{uid}{suffix}").unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what killed processes left: nobody else writes now."""
        for folder in (self.folder, self._refused):
            for remnant in folder.glob(".partial-*"):
                with suppress(OSError):
                    remnant.unlink()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the right to change what waits."""
        activity = "changes what waits here"
        with folder_lock(self.folder, timeout=self._patience_s, name=_CHANGING, activity=activity, advice=_ADVICE):
            yield


def _objects_in(folder: Path) -> Iterator[tuple[int, Path]]:
    """Yield the objects in a folder with the times at which they came; never what a link leads to."""
    for path in folder.glob("*.dcm"):
        with suppress(FileNotFoundError):  # another process has sent it
            status = path.lstat()
            if is_uid(path.stem) and stat.S_ISREG(status.st_mode):
                yield status.st_mtime_ns, path


def _is_regular(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _read_refusal(path: Path) -> Refusal:
    """Read why an object was refused; anybody may have written into the file."""
    try:
        fields = _fields(path)
        texts = {name: _line(fields[name]) for name in ("reason", "target", "refused_at")}
    except (OSError, ValueError, KeyError, TypeError):
        return Refusal(path.stem, "the reason is lost", "", "")
    return Refusal(path.stem, **texts)


def _fields(path: Path) -> dict[str, Any]:
    """Return the fields of a JSON file of this program.

    Raises:
        ValueError: if it is none.
        OSError: if it cannot be read.
    """
    try:
        content = json.loads(read_note(path))
    except RecursionError:
        content = None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: this file is damaged")
    return content


def _line(text: object) -> str:
    """Return a text that can be shown in a line.

    Raises:
        TypeError: if it is no text.
    """
    if not isinstance(text, str):
        raise TypeError("a text is wanted")
    return "".join(character for character in text if character.isprintable())[:_LONGEST_TEXT]


def _flush(path: Path) -> None:
    """Have the disk write a file or folder now, so that a power failure loses nothing."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
