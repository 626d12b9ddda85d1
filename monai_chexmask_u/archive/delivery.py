"""Delivering objects: into the outbox first, then to the archive, until each is confirmed, refused or waits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from monai_chexmask_u.archive.failures import (
    ArchiveUnusable,
    ObjectRefused,
    OutOfTime,
    TryLater,
    require_packages,
)
from monai_chexmask_u.archive.objects import DicomFile, read_dicom_file
from monai_chexmask_u.archive.outbox import Outbox, Refusal, Version
from monai_chexmask_u.archive.settings import DicomwebArchive, DimseNode
from monai_chexmask_u.archive.waiting import Backoff, Deadline
from monai_chexmask_u.files.folder_lock import FolderLockError
from monai_chexmask_u.files.regular_file import NoRegularFile

__all__ = ["Delivery", "Sender", "deliver", "sender_for"]


class Sender(Protocol):
    """One way to send."""

    def send(self, file: DicomFile, deadline: Deadline) -> None:
        """Send one object; return once it is confirmed, or the deadline is over.

        Raises:
            ObjectRefused: if the archive will never take it.
            ArchiveUnusable: if the archive takes nothing until a person changes something.
            TryLater: if the archive may take it later.
            OSError: if the file cannot be read.
        """
        ...


@dataclass(frozen=True)
class Delivery:
    """What became of the objects in an outbox.

    Attributes:
        sent: SOP Instance UIDs that the archive confirmed in this run.
        waiting: SOP Instance UIDs that are still in the outbox, of those that were there.
        refused: objects that it refused in this run; they lie in the outbox's folder ``refused``.
        problem: why objects wait, and which files are not in the outbox and why, in one line; None if all went well.
    """

    sent: tuple[str, ...]
    waiting: tuple[str, ...]
    refused: tuple[Refusal, ...]
    problem: str | None = None

    @property
    def is_complete(self) -> bool:
        """Tell whether all objects were delivered."""
        return not self.waiting and not self.refused and self.problem is None


def deliver(
    paths: Sequence[Path],
    target: DicomwebArchive | DimseNode,
    outbox: Path,
    *,
    backoff: Backoff | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Delivery:
    """Deliver files to an archive, after what waits in the outbox already.

    Args:
        paths: DICOM files; they are copied, and may go once this has returned. Such that are none, or cannot be read,
            are named as a problem, and do not stop the others.
        target: the archive.
        outbox: folder for what the archive has not confirmed; made if it is not there.
        backoff: how often to try what may pass.
        progress: called after each object with how many have had their turn, of how many.

    Raises:
        ArchiveUnusable: if a package is missing; nothing is in the outbox then.
        ValueError: if objects for another archive wait in the outbox, or another process adds to it for longer than an
            answer may take.
        OSError: if the outbox cannot be written to.
    """
    sender = sender_for(target)
    box = Outbox(outbox, patience_s=target.timeouts.answer_s)
    files, problems = _readable(paths)
    problems += [f"{path}: this is no regular file, and is not sent; remove it" for path in box.strangers()]
    problems += [f"{path}: an object's file is named after its UID; this one is not sent" for path in box.misnamed()]
    box.add(files, target.name)
    run = _Run(box, sender, backoff or Backoff(), target.timeouts.answer_s)
    try:
        with box.sending():
            delivery = run.empty(target.name, progress)
    except FolderLockError as error:  # the other process sends, or is held up itself
        delivery = run.broken_off(str(error))
    problems += [delivery.problem] if delivery.problem else []
    return replace(delivery, problem="; ".join(problems) or None)


def _readable(paths: Sequence[Path]) -> tuple[list[DicomFile], list[str]]:
    """Return the DICOM files, and what is wrong with the others."""
    files, problems = [], []
    for path in paths:
        try:
            files.append(read_dicom_file(path))
        except ValueError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{path}: this file or folder cannot be read ({_cause(error)})")
    return files, problems


def sender_for(target: DicomwebArchive | DimseNode) -> Sender:
    """Return what sends to an archive.

    Raises:
        ArchiveUnusable: if a package is missing.
    """
    if isinstance(target, DimseNode):
        require_packages("pynetdicom")
        from monai_chexmask_u.archive.cstore import StoreSender

        return StoreSender(target)
    require_packages("requests")
    from monai_chexmask_u.archive.stow import StowSender

    return StowSender(target)


class _Run:
    """One attempt to empty an outbox."""

    def __init__(self, outbox: Outbox, sender: Sender, backoff: Backoff, answer_s: float) -> None:
        self._outbox = outbox
        self._sender = sender
        self._backoff = backoff
        self._sent: list[str] = []
        self._refused: list[Refusal] = []
        self._incomplete: set[str] = set()  # studies
        self._unreadable: list[str] = []  # SOP Instance UIDs
        self._late = 0  # objects in a row that used up their time
        self._answer_s = answer_s
        self._problem: str | None = None

    def empty(self, target: str, progress: Callable[[int, int], None] | None) -> Delivery:
        """Give each object that waits its turn, unless the archive can take none."""
        files = self._in_order(target)
        for number, file in enumerate(files, 1):
            if not self._attempt(file):
                break
            if progress:
                progress(number, len(files))
        # What other processes have added in the meantime, they will send.
        return self._delivery([*self._unreadable, *(file.sop_instance_uid for file in files)])

    def broken_off(self, problem: str) -> Delivery:
        """Say what became of the objects up to a problem that ends the run."""
        self._problem = problem
        return self._delivery([path.stem for path in self._outbox.waiting()])

    def _delivery(self, uids: Iterable[str]) -> Delivery:
        gone = {*self._sent, *(refusal.sop_instance_uid for refusal in self._refused)}
        waiting = tuple(uid for uid in uids if uid not in gone)
        return Delivery(tuple(self._sent), waiting, tuple(self._refused), self._problem if waiting else None)

    def _in_order(self, target: str) -> list[DicomFile]:
        """Return what waits, reports last: they refer to the other objects."""
        files = []
        for path in self._outbox.waiting_for(target):
            try:
                file = self._read(path)
            except (OSError, NoRegularFile) as error:
                self._unreadable.append(path.stem)
                self._problem = _of_disk(path, error)
            else:
                files.extend([file] if file else [])
        return sorted(files, key=lambda file: file.is_report)

    def _read(self, path: Path) -> DicomFile | None:
        """Return what an object holds; put it aside if it is damaged, so that it is in nobody's way."""
        version = self._outbox.version(path)
        try:
            file = read_dicom_file(path, follow_links=False)
        except NoRegularFile:
            raise
        except ValueError:
            self._refuse(path, version, "this file is damaged")
            return None
        if file.sop_instance_uid != path.stem:  # confirming the one would remove the other
            self._refuse(path, version, "this file holds another object than its name says")
            return None
        return file

    def _attempt(self, file: DicomFile) -> bool:
        """Send an object; return whether there is a point in sending others."""
        if file.is_report and file.study_instance_uid in self._incomplete:
            return True  # what it refers to may still wait, and so does it
        try:
            current = self._read(file.path)  # it may have been replaced while others were sent, even by a link
            return self._send(current) if current else True
        except (OSError, NoRegularFile) as error:
            self._problem = _of_disk(file.path, error)
            self._incomplete.add(file.study_instance_uid)
            return True

    def _send(self, file: DicomFile) -> bool:
        version = self._outbox.version(file.path)
        deadline = Deadline(self._answer_s)
        try:
            self._backoff.run(lambda: self._sender.send(file, deadline), deadline)
        except ObjectRefused as error:
            self._refuse(file.path, version, str(error))
            return True
        except (TryLater, ArchiveUnusable) as error:
            self._problem = str(error)
            self._incomplete.add(file.study_instance_uid)
            self._backoff = self._backoff.once()  # the run has been patient
            # One object may be too large for the time; with two in a row, it is the archive.
            self._late = self._late + 1 if isinstance(error, OutOfTime) else 0
            return isinstance(error, TryLater) and not error.unreachable and self._late < 2
        self._late = 0
        self._outbox.confirm(file.path, version)
        self._sent.append(file.sop_instance_uid)
        return True

    def _refuse(self, path: Path, version: Version, reason: str) -> None:
        refusal = self._outbox.refuse(path, version, reason)
        if refusal:
            self._refused.append(refusal)
        else:
            self._problem = f"{path}: this object was replaced while it was sent; the new one waits"


def _of_disk(path: Path, error: OSError | NoRegularFile) -> str:
    return f"{path}: this object cannot be read or moved ({_cause(error)}); see to its file"


def _cause(error: OSError | NoRegularFile) -> str:
    if isinstance(error, NoRegularFile):
        return "it is no regular file"
    return error.strerror or type(error).__name__
