"""Who uses the page: one session each, with a folder of its own that goes when the session ends."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from monai_chexmask_u.demo.alterations import Alteration
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["Past", "Session", "Sessions", "Shown"]

IDLE_SECONDS: Final = 3600.0
MOST_SESSIONS: Final = 50


@dataclass(frozen=True, eq=False)
class Shown:
    """A film, what was done to it, its result, and the name of its picture in the session."""

    radiograph: Radiograph
    alteration: Alteration
    result: LandmarkSegmentation
    picture: str


@dataclass(frozen=True, eq=False)
class Past:
    """What is kept of a result to be plotted: how the film was altered, and the result, without pixels and samples."""

    severities: dict[str, float]
    result: LandmarkSegmentation


@dataclass(eq=False)
class Session:
    """What one user sees.

    Attributes:
        folder: of the user's uploads and results.
        token: hard to guess; the addresses of pictures and results hold it.
        film: the film as it was read.
        before: the result of the film as it is.
        after: that of the altered film, if it was altered.
        history: every result of this film and number of samples.
        pictures: JPEGs that the page shows, by name.
        runs: how often something was segmented; the page can tell new results from old ones by it.
    """

    folder: Path
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    film: Radiograph | None = None
    before: Shown | None = None
    after: Shown | None = None
    history: list[Past] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)
    runs: int = 0
    used: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add_picture(self, kind: str, picture: bytes) -> str:
        """Keep a picture in place of the one of its kind before, and return its name, which no other one has had."""
        for name in [name for name in self.pictures if name.startswith(kind)]:
            del self.pictures[name]
        name = f"{kind}-{secrets.token_hex(4)}.jpg"
        self.pictures[name] = picture
        return name

    def forget_results(self) -> None:
        """Drop what belongs to another film or another number of samples."""
        self.before = self.after = None
        self.history.clear()
        self.forget_files()

    def forget_files(self) -> None:
        """Delete the files of the results before."""
        shutil.rmtree(self.folder / "results", ignore_errors=True)


class Sessions:
    """All sessions, by the name that Gradio gives to each open page."""

    def __init__(self) -> None:
        """Make the folder that holds those of the sessions."""
        self.folder = Path(tempfile.mkdtemp(prefix="chexmask-u-demo-"))
        self._open: dict[str, Session] = {}
        self._lock = threading.Lock()

    def get(self, name: str | None) -> Session:
        """Return the session of a page, a new one at first.

        Raises:
            ValueError: if too many pages are open.
        """
        if not name:
            raise ValueError("the page has lost its session; reload it")
        with self._lock:
            self._close_idle()
            if name not in self._open:
                if len(self._open) >= MOST_SESSIONS:
                    raise ValueError("too many people use this page now; try again later")
                self._open[name] = Session(Path(tempfile.mkdtemp(dir=self.folder)))
            session = self._open[name]
            session.used = time.monotonic()
            return session

    def find(self, token: str) -> Session | None:
        """Return a session by the token that only its user knows."""
        with self._lock:
            sessions = list(self._open.values())
        return next((one for one in sessions if secrets.compare_digest(one.token.encode(), token.encode())), None)

    def close(self, name: str | None) -> None:
        """End a session and delete its folder."""
        with self._lock:
            session = self._open.pop(name or "", None)
        if session is not None:
            shutil.rmtree(session.folder, ignore_errors=True)

    def close_all(self) -> None:
        """End every session and delete the folder of all."""
        with self._lock:
            self._open.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _close_idle(self) -> None:
        for name, session in list(self._open.items()):
            if time.monotonic() - session.used > IDLE_SECONDS:
                del self._open[name]
                shutil.rmtree(session.folder, ignore_errors=True)
