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

__all__ = ["Session", "Sessions", "Shown"]

IDLE_SECONDS: Final = 3600.0
MOST_SESSIONS: Final = 50


@dataclass(frozen=True, eq=False)
class Shown:
    """A film, what was done to it, and its result."""

    radiograph: Radiograph
    alteration: Alteration
    result: LandmarkSegmentation


@dataclass(eq=False)
class Session:
    """What one user sees.

    Attributes:
        folder: of the user's uploads and results.
        token: hard to guess; the address of the results holds it.
        film: the film as it was read.
        before: the result of the film as it is.
        after: that of the altered film, if it was altered.
        history: every result of this film and number of samples, to be plotted.
        files: results that may be downloaded, by name.
        runs: how often results were written, by which the page can tell new ones from old.
    """

    folder: Path
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    film: Radiograph | None = None
    before: Shown | None = None
    after: Shown | None = None
    history: list[Shown] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    runs: int = 0
    used: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def forget_results(self) -> None:
        """Drop what belongs to another film or another number of samples."""
        self.before = self.after = None
        self.history.clear()
        self.forget_files()

    def forget_files(self) -> None:
        """Delete the results that may be downloaded."""
        self.files.clear()
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

    def find_file(self, token: str, name: str) -> Path | None:
        """Return a result by the address that only its user knows; no part of it is used as a path."""
        with self._lock:
            for session in self._open.values():
                if secrets.compare_digest(session.token.encode(), token.encode()):
                    return session.files.get(name)
        return None

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
