"""Two files with one SOP Instance UID: whether they are copies of one image, or different images, which is refused."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom.filereader import read_partial

from monai_chexmask_u.dicom.reading.quiet import no_warnings
from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.files.kinds import looks_like_dicom
from monai_chexmask_u.files.regular_file import HEAD_BYTES, read_head
from monai_chexmask_u.radiograph import Radiograph, RadiographError

__all__ = ["ImageKey", "ImageRegister", "image_key", "patient_of", "register_images"]

# What a hospital tells patients apart by; one identifier alone may be missing, or be given by two hospitals.
PATIENT: Final = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate")

_SOP_INSTANCE_UID: Final = 0x00080018
_START_BYTES: Final = 2**13  # far more than what stands before the SOP Instance UID


@dataclass(frozen=True)
class ImageKey:
    """What an image is called, and what it is.

    Attributes:
        sop_instance_uid: which no other image must have.
        fingerprint: of its study, its patient, its pixels and how they lie; copies of an image have the same.
    """

    sop_instance_uid: str
    fingerprint: str


def patient_of(header: Any) -> str:
    """Return a text that is the same for images of one patient, and another one for any other patient's."""
    return "\n".join(str(header.get(keyword) or "") for keyword in PATIENT)


def image_key(radiograph: Radiograph) -> ImageKey | None:
    """Return the key of an image; one without a DICOM header, or without a SOP Instance UID, has no identity."""
    header, uid = radiograph.header, radiograph.sop_instance_uid
    if uid is None:
        return None
    digest = hashlib.sha256(np.ascontiguousarray(radiograph.pixels).tobytes())
    geometry = (radiograph.shape, radiograph.spacing_mm, radiograph.pixel_aspect)
    display = (radiograph.view, radiograph.mirrored, radiograph.upside_down)
    digest.update(f"{geometry}\n{display}\n{header.get('StudyInstanceUID')}\n{patient_of(header)}".encode())
    return ImageKey(uid, digest.hexdigest())


class ImageRegister:
    """Keeps which images a run has: none is done twice, and of those that have one identifier, but differ, none at all.

    First all images are noted, then each is checked: nothing may be written for an image before it is known that no
    other one has its SOP Instance UID.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._noted: defaultdict[str, set[str]] = defaultdict(set)
        self._done: set[str] = set()
        self._expected: dict[Path, str] = {}

    def expect(self, path: Path, sop_instance_uid: str | None) -> None:
        """Note which SOP Instance UID a file had when it was looked at first; None if it could not be read."""
        self._expected[path] = sop_instance_uid or ""

    def note(self, key: ImageKey | None) -> None:
        """Note an image."""
        if key is not None:
            self._noted[key.sop_instance_uid].add(key.fingerprint)

    def check(self, key: ImageKey | None, path: Path | None = None) -> None:
        """See that an image may be done, and take it for done.

        Raises:
            RadiographError: ``duplicate`` for a copy of an image that is done, ``conflicting_identifiers`` for each of
                several images with one SOP Instance UID: nobody can tell whose results they would be; ``changed`` if
                the file of this path has another one than was expected.
        """
        if key is None:
            return
        uid = key.sop_instance_uid
        if path in self._expected and self._expected[path] != uid:
            # What was done by now was not compared with this image.
            message = "its SOP Instance UID is another one than at the start, or stands in it twice; export it again"
            raise RadiographError("changed", message)
        self.note(key)  # the file may have been replaced since
        if len(self._noted[uid]) > 1:
            message = "different images have this SOP Instance UID; find out which is right and give it alone"
            raise RadiographError("conflicting_identifiers", message)
        if uid in self._done:
            raise RadiographError("duplicate", "this is a copy of an image that is done already")
        self._done.add(uid)


def register_images(paths: Sequence[Path]) -> ImageRegister:
    """Note those of many files that share their SOP Instance UID with another one.

    Of each file no more than the start of its header is read; the few that share an identifier are read whole, one at a
    time. What cannot be read is left out: reading it again will say why.
    """
    with no_warnings():
        uids = [_instance_uid(path) for path in paths]
    counts = Counter(uid for uid in uids if uid is not None)
    register = ImageRegister()
    for path, uid in zip(paths, uids, strict=True):
        register.expect(path, uid)
        if uid is not None and counts[uid] > 1:
            register.note(_key_of(path))
    return register


def _instance_uid(path: Path) -> str | None:
    """Return the SOP Instance UID of a file, or None if it is no DICOM image that can be read."""
    try:
        start = read_head(path, size=_START_BYTES)
    except RadiographError:
        return None
    if not looks_like_dicom(start[:HEAD_BYTES]):
        return None
    try:
        header = read_partial(
            BytesIO(start), lambda tag, *_: tag > _SOP_INSTANCE_UID, force=True, specific_tags=[_SOP_INSTANCE_UID]
        )
        uid = str(header.get("SOPInstanceUID") or "")
    except Exception:  # a deflated file, a long header, or a damaged one, which can raise nearly anything
        uid = ""
    if uid:
        return uid
    key = _key_of(path)
    return None if key is None else key.sop_instance_uid


def _key_of(path: Path) -> ImageKey | None:
    try:
        return image_key(read_dicom(path))
    except (RadiographError, OSError, MemoryError):
        return None
