"""Radiographs that clients send for a while, each under an id that only the server makes.

MONAI Label joins whatever is asked for as an id to the folder of sessions, and believes the notes that it finds there:
a client that sends a file of notes could name any file of the server. Here an id is nothing but one that was given, the
notes lie where no client's file can be, and what is there after a kill is a whole session or none.
"""

from __future__ import annotations

import json
import lzma
import os
import re
import shutil
import tarfile
import tempfile
import threading
import time
import uuid
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PureWindowsPath
from typing import IO, Any, Final

from monailabel.utils.sessions import SessionInfo, Sessions

from monai_chexmask_u.files.atomic import atomic_path, prepare_folder
from monai_chexmask_u.files.folder_lock import LOCK_NAME, folder_lock
from monai_chexmask_u.files.leftovers import PARTIAL

__all__ = ["RadiographSessions", "public_notes"]

ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NOTES: Final = "meta.info"
FILES: Final = "files"
_BROKEN: Final = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
MAX_FILES: Final = 1000
MAX_BYTES: Final = 2**30
"""Of a session, unpacked."""
MAX_HEADER_BYTES: Final = 2**20
MAX_SESSIONS: Final = 100
MAX_BYTES_OF_ALL: Final = 8 * 2**30


class RadiographSessions(Sessions):
    """The sessions of a server; those without use for `expiry` seconds end, and the longest idle ones for new ones.

    Args:
        store_path: folder of the sessions; made when one begins.
        expiry: seconds.
    """

    def __init__(self, store_path: str, expiry: int = 3600) -> None:
        """Remember where the sessions are, and remove what a killed server left half done."""
        super().__init__(store_path, expiry)
        self._turn = threading.RLock()
        self._folder = Path(self.store_path)
        if self._folder.is_dir():
            prepare_folder(self._folder)
            self.remove_expired()

    def __bool__(self) -> bool:
        """Return that there is a place for sessions, also while it is empty."""
        return True

    def add(self, files: Sequence[tuple[str, IO[bytes]]], *, expiry: int = 0, uncompress: bool = False) -> SessionInfo:
        """Begin a session with what was sent.

        Args:
            files: name and content of each.
            expiry: seconds without use after which it ends, at most those of the server.
            uncompress: unpack the file, an archive.

        Raises:
            shutil.ReadError: if it is no archive, holds what does not belong there, or is too large unpacked.
            ValueError: if there are too many files.
        """
        if not 0 < len(files) <= MAX_FILES:
            raise ValueError(f"a session takes 1 to {MAX_FILES} files, got {len(files)}")
        prepare_folder(self._folder)
        identity = str(uuid.uuid4())
        partial = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=self._folder))
        try:
            with folder_lock(partial):  # nobody takes it for a killed server's meanwhile
                place = partial / FILES
                place.mkdir()
                names = [_store(name, content, place) for name, content in files]
                if uncompress and len(names) == 1:
                    _unpack(place / names[0], place)
                    names = []
                now = int(time.time())
                notes = {"name": names[0] if len(names) == 1 else "", "create_ts": now, "last_access_ts": now}
                notes["expiry"] = min(expiry, self.expiry) if expiry > 0 else self.expiry
                (partial / NOTES).write_text(json.dumps(notes), encoding="utf-8")
                partial.rename(self._folder / identity)
            (self._folder / identity / LOCK_NAME).unlink(missing_ok=True)  # it went with the folder
            self._make_room()
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        found = self.get_session(identity, update_ts=False)
        if found is None:
            raise ValueError("the session is larger than this server keeps")
        return found

    def get_session(self, session_id: str, update_ts: bool = True, fetch_cache: bool = True) -> SessionInfo | None:
        """Return a session that runs, or None."""
        if not ID.fullmatch(session_id):
            return None
        with self._turn:
            folder = self._folder / session_id
            try:
                notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
                image = folder / FILES / str(notes["name"])
                info = SessionInfo({**notes, "name": session_id, "path": str(folder), "image": str(image), "meta": {}})
                if info.last_access_ts + info.expiry < time.time() or not image.exists():
                    return None
                if update_ts:
                    info.last_access_ts = notes["last_access_ts"] = int(time.time())
                    with atomic_path(folder / NOTES) as temporary:
                        temporary.write_text(json.dumps(notes), encoding="utf-8")
            except (OSError, ValueError, KeyError, TypeError):
                return None
            return info

    def remove_session(self, session_id: str) -> None:
        """End a session; its radiographs are gone at once, or at the next start if the server is killed meanwhile."""
        if ID.fullmatch(session_id):
            doomed = self._folder / f"{PARTIAL}{uuid.uuid4()}"
            with suppress(OSError):
                (self._folder / session_id).rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)

    def remove_expired(self) -> int:
        """End the sessions that were not used for too long, or are damaged; return how many."""
        with self._turn:
            ended = [each for each in self._all() if self.get_session(each, update_ts=False) is None]
            for session_id in ended:
                self.remove_session(session_id)
            return len(ended)

    def _all(self) -> list[str]:
        inside = os.scandir(self._folder) if self._folder.is_dir() else ()
        return [each.name for each in inside if ID.fullmatch(each.name) and each.is_dir(follow_symlinks=False)]

    def _make_room(self) -> None:
        """End the sessions that are idle for longest while there are too many or they are too large together."""
        found = [(each, self.get_session(each, update_ts=False)) for each in self._all()]
        newest_first = sorted(found, key=lambda each: each[1].last_access_ts if each[1] else 0, reverse=True)
        total = 0
        for count, (session_id, info) in enumerate(newest_first, start=1):
            total += sum(path.stat().st_size for path in (self._folder / session_id).rglob("*") if path.is_file())
            if info is None or count > MAX_SESSIONS or total > MAX_BYTES_OF_ALL:
                self.remove_session(session_id)


def public_notes(info: SessionInfo) -> dict[str, Any]:
    """Return what a client learns of a session: as MONAI Label has it, without the places of files on the server."""
    notes: dict[str, Any] = info.to_json()
    return notes | {"path": info.name, "image": Path(info.image).name}


def _store(name: str, content: IO[bytes], place: Path) -> str:
    """Keep a file under its own name, as far as that is one; return the name."""
    ending = re.sub(r"[^.A-Za-z0-9]", "", "".join(Path(PureWindowsPath(name).name).suffixes[-2:]))[-16:]
    stem = re.sub(r"[^-._A-Za-z0-9]", "_", PureWindowsPath(name).name).lstrip(".")[:100]
    wanted = stem if stem.endswith(ending) else f"{stem[:80]}{ending}"
    kept = wanted or "radiograph"
    while (place / kept).exists():
        kept = f"{uuid.uuid4().hex[:8]}_{kept[-100:]}"
    with (place / kept).open("xb") as copy:
        shutil.copyfileobj(content, copy)
    return kept


def _unpack(archive: Path, place: Path) -> None:
    """Unpack an archive into its own folder, and remove it.

    Raises:
        shutil.ReadError: as `RadiographSessions.add`.
    """
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, place)
        else:
            _unpack_tar(archive, place)
    except (*_BROKEN, OSError, EOFError, RuntimeError, ValueError) as error:
        raise shutil.ReadError(f"cannot be unpacked ({type(error).__name__})") from error
    archive.unlink()


def _unpack_zip(archive: Path, place: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        members = opened.infolist()
        _check_size(len(members), sum(member.file_size for member in members))
        for member in members:
            if not member.is_dir():  # flat: no name of a folder, and no path
                with opened.open(member) as content:
                    _store(member.filename, content, place)


def _unpack_tar(archive: Path, place: Path) -> None:
    count = size = 0
    with tarfile.open(archive, tarinfo=_Member) as opened:
        for member in opened:
            count, size = count + 1, size + member.size
            _check_size(count, size)
            if Path(member.name).is_absolute() or ".." in Path(member.name).parts:
                raise tarfile.OutsideDestinationError(member, str(place))
            content = opened.extractfile(member) if member.isreg() else None
            if content is not None:
                _store(member.name, content, place)


class _Member(tarfile.TarInfo):
    """A member of an archive whose own header is not larger than one is: it would be read into memory as a whole."""

    def _proc_member(self, tarfile: tarfile.TarFile) -> Any:
        if self.type == b"S" or (not self.isreg() and self.size > MAX_HEADER_BYTES):
            raise shutil.ReadError("it holds a member with gaps or too large a header")
        member: Any = super()._proc_member(tarfile)  # type: ignore[misc]
        return member

    def _proc_gnusparse_10(self, *_: Any) -> None:
        """Refuse a file with gaps, whose list of them may be of any length."""
        raise shutil.ReadError("it holds a file with gaps")


def _check_size(count: int, size: int) -> None:
    if count > MAX_FILES or size > MAX_BYTES:
        raise shutil.ReadError(f"it holds more than {MAX_FILES} files or {MAX_BYTES // 2**20} MiB")
