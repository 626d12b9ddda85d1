"""Who uses the page: one session each, with a folder of its own that goes when the session ends."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from monai_chexmask_u.demo.alterations import Alteration
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["Past", "Session", "Sessions", "Shown", "bytes_of"]

IDLE_SECONDS: Final = 3600.0
LEFT_SECONDS: Final = 20.0
MOST_SESSIONS: Final = 50
MAX_BYTES: Final = 1024**3
MOST_PAST: Final = 500


@dataclass(frozen=True, eq=False)
class Shown:
    """A radiograph, what was done to it, its result, and the name of its image in the session."""

    radiograph: Radiograph
    alteration: Alteration
    result: LandmarkSegmentation
    image: str


@dataclass(frozen=True, eq=False)
class Past:
    """What is kept of a result to be plotted: how the image was altered, and the result, without pixels and samples."""

    severities: dict[str, float]
    result: LandmarkSegmentation


@dataclass(eq=False)
class Session:
    """What one user sees.

    Attributes:
        folder: of the user's results.
        token: hard to guess; the addresses of images and results hold it.
        radiograph: the radiograph as it was read.
        file_bytes: size of the file that it came from.
        before: the result of the radiograph as it is.
        after: that of the altered radiograph, if it was altered.
        history: the latest results of this radiograph and number of samples.
        images: JPEGs that the page shows, by name.
        runs: how often something was segmented; by it the page knows new results from old ones.
        users: how many requests work with the session now; it is not closed to make room meanwhile.
        size: bytes of memory that it held when it was used last.
    """

    folder: Path
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    radiograph: Radiograph | None = None
    file_bytes: int = 0
    before: Shown | None = None
    after: Shown | None = None
    history: list[Past] = field(default_factory=list)
    images: dict[str, bytes] = field(default_factory=dict)
    runs: int = 0
    users: int = 0
    size: int = 0
    used: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add_image(self, kind: str, image: bytes) -> str:
        """Keep an image in place of the former one of its kind, and return its new name."""
        for name in [name for name in self.images if name.startswith(kind)]:
            del self.images[name]
        name = f"{kind}-{secrets.token_hex(4)}.jpg"
        self.images[name] = image
        return name

    def remember(self, past: Past) -> None:
        """Keep a result for the plot, and forget the oldest where there are many: live mode makes one a second."""
        self.history.append(past)
        del self.history[:-MOST_PAST]

    def forget_results(self) -> None:
        """Drop what belongs to another radiograph or another number of samples."""
        self.before = self.after = None
        self.history.clear()
        self.forget_files()

    def forget_files(self) -> None:
        """Delete the files of the results before."""
        shutil.rmtree(self.folder / "results", ignore_errors=True)


class Sessions:
    """All sessions with a radiograph, by the name that Gradio gives to each open page.

    A name costs nothing until a radiograph was opened under it. Sessions share one budget of memory and of number; who
    has not used theirs for the longest time makes room.

    Args:
        folder: holds the folders of the sessions; a new one in the system's temporary folder by default.
        on_close: called with the name of each session that has ended.
    """

    def __init__(self, folder: Path | None = None, *, on_close: Callable[[str], None] = lambda name: None) -> None:
        """Start without any."""
        self.folder = Path(tempfile.mkdtemp(prefix="chexmask-u-sessions-")) if folder is None else folder
        self.on_close = on_close
        self._open: dict[str, Session] = {}
        self._lock = threading.Lock()

    @contextmanager
    def use(self, name: str | None) -> Iterator[Session]:
        """Yield the session of a page, alone; one that has no radiograph afterwards ends.

        Raises:
            ValueError: if the page names no session.
        """
        if not name:
            raise ValueError("the page has lost its session; reload it")
        with self._lock:
            if name not in self._open:
                self._open[name] = Session(Path(tempfile.mkdtemp(prefix="session-", dir=self.folder)))
            session = self._open[name]
            session.users += 1
        try:
            with _alone(session):
                yield session
        finally:
            self._release(name, session)

    @contextmanager
    def use_by_token(self, token: str) -> Iterator[Session | None]:
        """Yield the session with a token that only its user knows, alone; None if there is none."""
        with self._lock:
            name = next((name for name, one in self._open.items() if _is_same(one.token, token)), None)
            session = None if name is None else self._open[name]
            if session is not None:
                session.users += 1
        if session is None or name is None:
            yield None
            return
        try:
            with _alone(session):
                yield session
        finally:
            self._release(name, session)

    def find(self, token: str) -> Session | None:
        """Return a session by the token that only its user knows."""
        with self._lock:
            sessions = list(self._open.values())
        return next((one for one in sessions if _is_same(one.token, token)), None)

    def close(self, name: str | None) -> None:
        """End a session and delete its folder."""
        with self._lock:
            closed = self._pop([name or ""])
        self._clean_up(closed)

    def close_all(self) -> None:
        """End every session and delete the folder of all."""
        with self._lock:
            self._open.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close_idle(self, open_pages: Collection[str]) -> None:
        """End the sessions that nobody has used for `IDLE_SECONDS`, or `LEFT_SECONDS` where no page is open."""
        now = time.monotonic()
        with self._lock:
            idle = {name: now - one.used for name, one in self._open.items() if not one.users}
            limits = {name: IDLE_SECONDS if name in open_pages else LEFT_SECONDS for name in idle}
            closed = self._pop([name for name in idle if idle[name] > limits[name]])
        self._clean_up(closed)

    def _release(self, name: str, session: Session) -> None:
        with self._lock:
            session.users -= 1
            session.used = time.monotonic()
            is_empty = session.radiograph is None and not session.users and self._open.get(name) is session
            empty = self._pop([name]) if is_empty else {}
            closed = self._pop(self._too_many())
        self._clean_up(closed)
        for one in empty.values():  # its page may be open
            shutil.rmtree(one.folder, ignore_errors=True)

    def _too_many(self) -> list[str]:
        """Return the names of those who make room, the longest unused first."""
        idle = sorted(
            (name for name, one in self._open.items() if not one.users), key=lambda name: self._open[name].used
        )
        total, count = sum(one.size for one in self._open.values()), len(self._open)
        chosen: list[str] = []
        for name in idle[:-1]:  # who came last stays, whatever it takes: a single radiograph is limited when it is read
            if total <= MAX_BYTES and count <= MOST_SESSIONS:
                break
            chosen.append(name)
            total, count = total - self._open[name].size, count - 1
        return chosen

    def _pop(self, names: list[str]) -> dict[str, Session]:
        return {name: self._open.pop(name) for name in names if name in self._open}

    def _clean_up(self, closed: dict[str, Session]) -> None:
        for name, session in closed.items():
            shutil.rmtree(session.folder, ignore_errors=True)
            self.on_close(name)


@contextmanager
def _alone(session: Session) -> Iterator[None]:
    """Hold a session, and note how much memory it holds before the next one changes it."""
    with session.lock:
        try:
            yield
        finally:
            session.size = bytes_of(session)


def bytes_of(session: Session) -> int:
    """Return how much memory a session holds: pixels, masks, results, samples, images and DICOM headers."""
    found: dict[int, int] = {}
    shown = [one for one in (session.before, session.after) if one is not None]
    radiographs = [one for one in (session.radiograph, *(each.radiograph for each in shown)) if one is not None]
    for radiograph in radiographs:
        _measure(radiograph.pixels, found)
    for each in shown:
        _measure(each.alteration.mask, found)
    for result in (*(each.result for each in shown), *(past.result for past in session.history)):
        for each_field in fields(result):
            _measure(getattr(result, each_field.name), found)
    header = session.file_bytes if session.radiograph is not None and session.radiograph.header is not None else 0
    return sum(found.values()) + sum(len(image) for image in session.images.values()) + header


def _measure(value: Any, found: dict[int, int]) -> None:
    """Note the size of an array by its identity, so that what is shared counts once."""
    while isinstance(value, np.ndarray):
        whole, value = value, value.base  # a view keeps the whole array
        if not isinstance(value, np.ndarray):
            found[id(whole)] = whole.nbytes


def _is_same(expected: str, given: str) -> bool:
    return secrets.compare_digest(expected.encode(), given.encode(errors="replace"))
