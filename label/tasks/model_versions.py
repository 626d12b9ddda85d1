"""Versions of the model: the shipped one and those trained here, and which of them is in use."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from monai_chexmask_u.files.atomic import atomic_path, prepare_folder
from monai_chexmask_u.files.checksum import sha256_of
from monai_chexmask_u.model import Model, calibration_file, default_bundle, load_model, model_identity, weights_file
from monai_chexmask_u.networks.checkpoints import read_checkpoint
from monai_chexmask_u.uncertainty.calibration import CalibrationError

__all__ = ["ModelStore", "ModelVersion"]

logger = logging.getLogger(__name__)

SHIPPED = 0
PUBLISHING = ".publish-"


@dataclass(frozen=True)
class ModelVersion:
    """One model of the store; versions are equal as long as weights and calibration are the same files.

    Attributes:
        number: 0 for the shipped model, 1 and more for trained ones.
        path: a bundle folder, for `monai_chexmask_u.model.load_model`.
        sha256: of the weights.
        calibration: time and size of the calibration's file, or None without one.
    """

    number: int
    path: Path
    sha256: str
    calibration: tuple[int, int] | None


class ModelStore:
    """Keeps trained models as versions of which one is in use; several processes may share a folder.

    The folder holds ``N/models/model.pt``, ``N/configs/metadata.json`` (its name and version), ``N/record.json`` (what
    it was made from) and, once somebody made it, ``N/models/model.calibration.pt``; ``current.json`` names the version
    in use. A version is put together in a temporary folder, renamed, and taken into use by a second rename, so that a
    process killed at any moment leaves the model that was in use. If the version in use is damaged, the newest whole
    version before it is used instead, at last the shipped one; `problems` and the log then say so.

    Args:
        folder: is made when a model is published.
        shipped: bundle folder of version 0; the project's own by default.
    """

    def __init__(self, folder: Path, shipped: Path | None = None) -> None:
        """Remember where the models are; nothing is read yet."""
        self.folder = folder
        self.shipped = shipped or default_bundle()
        self._known: dict[Path, tuple[tuple[int, int], str | None]] = {}
        self._loaded: tuple[ModelVersion, Model] | None = None
        self._said: set[str] = set()
        self._turn = threading.RLock()
        self._problems: list[str] = []

    def current(self) -> ModelVersion:
        """Return the version to use now: the one in use, or the newest whole one before it.

        Raises:
            CheckpointError: if no trained version can be used and the shipped model is missing.
        """
        with self._turn:
            self._problems = []
            pointed = self._pointer()
            if pointed not in self.numbers():
                self._complain(f"model version {pointed} is missing from {self.folder}; an older one is used")
            for number in sorted((n for n in self.numbers() if SHIPPED < n <= pointed), reverse=True):
                try:
                    return self._version(number)
                except ValueError as error:
                    self._complain(f"model version {number} is not used, an older one is: {error}")
            return self._version(SHIPPED)

    def problems(self) -> list[str]:
        """Return what is wrong with the version in use, one sentence each; empty if it is the one used."""
        with self._turn:
            self.load()
            return list(self._problems)

    def load(self) -> Model:
        """Return the network in use with its calibration; read once, and again when another one is in use.

        A broken or foreign calibration is left out, and said in `problems`.

        Raises:
            CheckpointError: as `current`.
        """
        with self._turn:
            version = self.current()
            if self._loaded is None or self._loaded[0] != version:
                try:
                    self._loaded = version, load_model(version.path)
                except CalibrationError:
                    self._loaded = version, load_model(version.path, calibrated=False)
            if version.calibration and self._loaded[1].calibration is None:
                file = calibration_file(weights_file(version.path))
                self._complain(f"{file}: is broken or belongs to other weights, and is not used; make it again")
            return self._loaded[1]

    def publish(self, weights: Path, record: Mapping[str, Any]) -> ModelVersion:
        """Add weights as a new version and take it into use.

        Args:
            weights: a weights file; is copied.
            record: JSON content that says what they were made from; parent, SHA-256 and date are added.

        Raises:
            CheckpointError: if the file holds no weights of this network.
            OSError: if the folder cannot be written to.
        """
        read_checkpoint(weights)
        prepare_folder(self.folder)
        with self._turn, FileLock(str(self.folder / ".publishing")):
            for stale in self.folder.glob(f"{PUBLISHING}*"):  # of a process that was killed: it held the lock
                shutil.rmtree(stale, ignore_errors=True) if stale.is_dir() else stale.unlink(missing_ok=True)
            parent, number = self.current(), max([SHIPPED, *self.numbers()]) + 1
            partial = Path(tempfile.mkdtemp(prefix=PUBLISHING, dir=self.folder))
            try:
                self._fill(partial, number, weights, parent, record)
                partial.chmod(0o755)
                partial.rename(self.folder / str(number))
            finally:
                shutil.rmtree(partial, ignore_errors=True)
            self._point(number)
            return self._version(number)

    def rollback(self, number: int | None = None) -> ModelVersion:
        """Take an older version into use again; nothing is deleted.

        Args:
            number: of the version; by default the one that the version in use was trained from.

        Raises:
            ValueError: if there is no such version, it is damaged, or the shipped model is in use.
        """
        with self._turn, FileLock(str(self.folder / ".publishing")):
            if number is None:
                number = self._parent(self.current().number)
            if number not in self.numbers():
                raise ValueError(f"{self.folder}: there is no version {number}; there are {self.numbers()}")
            version = self._version(number)
            self._point(number)
            return version

    def history(self) -> list[dict[str, Any]]:
        """Return the records of the trained versions, oldest first; one that cannot be read has only its number."""
        return [{"version": number, **self._record(number)} for number in self.numbers() if number != SHIPPED]

    def lineage(self, number: int) -> list[dict[str, Any]]:
        """Return the records of a version and of those that it was trained from, newest first."""
        records: list[dict[str, Any]] = []
        while number != SHIPPED and len(records) <= len(self.numbers()):
            records.append(self._record(number))
            number = self._parent(number)
        return records

    def numbers(self) -> list[int]:
        """Return the numbers of all versions, the shipped one included."""
        inside = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted([SHIPPED, *(int(each.name) for each in inside if each.name.isdecimal() and each.is_dir())])

    def _fill(self, partial: Path, number: int, weights: Path, parent: ModelVersion, record: Mapping[str, Any]) -> None:
        """Write a version's files, down to the disk."""
        base = model_identity(self.shipped)
        for name in ("models", "configs"):
            (partial / name).mkdir()
        copy = partial / "models" / "model.pt"
        shutil.copyfile(weights, copy)
        metadata = {"name": base.name, "version": f"{base.version}+label.{number}"}
        about = {
            **record,
            "sha256": sha256_of(copy),
            "parent": {"version": parent.number, "sha256": parent.sha256},
            "published": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        for path, content in ((partial / "configs" / "metadata.json", metadata), (partial / "record.json", about)):
            path.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
        for path in partial.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())

    def _version(self, number: int) -> ModelVersion:
        """Return a version that is whole.

        Raises:
            ValueError: if a file of it is missing, or the weights are not those of its record.
        """
        path = self.shipped if number == SHIPPED else self.folder / str(number)
        sha256 = self._checked_sha256(number, path)
        calibration = calibration_file(weights_file(path))
        return ModelVersion(number, path, sha256, _stamp(calibration) if calibration.is_file() else None)

    def _checked_sha256(self, number: int, path: Path) -> str:
        """Compare the weights with their record, once for each state of their file: hashing is slow."""
        weights = path / "models" / "model.pt" if number != SHIPPED else weights_file(path)
        if not weights.is_file():
            raise ValueError(f"{weights}: is missing")
        stamp = _stamp(weights)
        if self._known.get(weights, (None,))[0] != stamp:
            sha256 = model_identity(path).sha256
            whole = number == SHIPPED or sha256 == self._record(number).get("sha256")
            self._known[weights] = stamp, sha256 if whole else None
        known = self._known[weights][1]
        if known is None:
            raise ValueError(f"{weights}: is damaged, its SHA-256 is not the one of record.json")
        return known

    def _record(self, number: int) -> dict[str, Any]:
        try:
            content = json.loads((self.folder / str(number) / "record.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _parent(self, number: int) -> int:
        if number == SHIPPED:
            raise ValueError(f"{self.folder}: the shipped model is in use, there is none before it")
        return int(self._record(number).get("parent", {}).get("version", SHIPPED))

    def _pointer(self) -> int:
        """Return the number of the version in use; if it cannot be read, that of the newest version."""
        file = self.folder / "current.json"
        if not file.is_file():
            return SHIPPED
        try:
            return int(json.loads(file.read_text(encoding="utf-8"))["version"])
        except (OSError, ValueError, TypeError, KeyError):
            newest = max(self.numbers())
            self._complain(f"{file}: cannot be read; the newest model, version {newest}, is used")
            return newest

    def _point(self, number: int) -> None:
        with atomic_path(self.folder / "current.json") as path:
            path.write_text(json.dumps({"version": number}) + "\n", encoding="utf-8")

    def _complain(self, problem: str) -> None:
        self._problems.append(problem)
        if problem not in self._said:  # once in the log, always in `problems`
            logger.error(problem)
            self._said.add(problem)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
