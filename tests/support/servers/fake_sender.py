"""A sender without an archive, and what tests of the delivery ask about."""

from __future__ import annotations

from pathlib import Path

from monai_chexmask_u.archive.failures import ArchiveUnusable, ObjectRefused, TryLater
from monai_chexmask_u.archive.objects import DicomFile
from monai_chexmask_u.archive.outbox import Outbox
from monai_chexmask_u.archive.settings import DicomwebArchive
from monai_chexmask_u.archive.waiting import Deadline

__all__ = ["BUSY", "DOWN", "LOCKED_OUT", "REFUSED", "TARGET", "FakeSender", "uids", "waiting"]

TARGET = DicomwebArchive("https://archive.example/dicom-web")
BUSY, DOWN = TryLater("busy"), TryLater("down", unreachable=True)
REFUSED, LOCKED_OUT = ObjectRefused("too large"), ArchiveUnusable("wrong password")


class FakeSender:
    """Fails for some objects, with each failure in turn; a failure that is last stays."""

    def __init__(self) -> None:
        self.failures: dict[str, list[Exception]] = {}
        self.tried: list[str] = []
        self.stored: list[str] = []

    def send(self, file: DicomFile, deadline: Deadline) -> None:
        assert file.path.is_file()
        uid = file.sop_instance_uid
        self.tried.append(uid)
        failures = self.failures.get(uid, [])
        if failures:
            raise failures.pop(0) if len(failures) > 1 else failures[0]
        self.stored.append(uid)


def uids(*files: DicomFile) -> tuple[str, ...]:
    return tuple(file.sop_instance_uid for file in files)


def waiting(outbox: Path) -> set[str]:
    return {path.stem for path in Outbox(outbox).waiting()}
