"""What became of every file of a run: for the log, for the exit code, and as a file."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from monai_chexmask_u.archive.delivery import Delivery
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.files.faults import fault_of
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.segmentation import Reliability

__all__ = ["NOT_MEANT", "RECORD_NAME", "RunRecord"]

RECORD_NAME: Final = "run.json"

# A study holds images that are not meant for this application: leaving them out is no failure.
NOT_MEANT: Final = frozenset(
    {
        "color",
        "duplicate",
        "for_processing",
        "multi_frame",
        "not_dicom",
        "not_frontal",
        "not_human",
        "wrong_body_part",
        "wrong_modality",
    }
)

logger = logging.getLogger(__name__)


class RunRecord:
    """Keeps what was written, skipped and failed; all operators of one run share it.

    Attributes:
        written: output files.
        skipped: how many files were left out for which reason.
        failures: name of each image or file that could not be processed, its reason and what to do; several files
            may have one name.
        images: what became of each image, by its name.
        delivery: what became of the DICOM results on their way to an archive; empty if there is none.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.written: list[Path] = []
        self.skipped: Counter[str] = Counter()
        self.failures: list[dict[str, str]] = []
        self.images: dict[str, dict[str, Any]] = {}
        self.delivery: dict[str, Any] = {}
        self._is_delivered = True

    @contextmanager
    def attempt(self, name: str) -> Iterator[None]:
        """Note what goes wrong with one image, so that the others are still processed.

        Args:
            name: what the image is called in the log: its SOP Instance UID or its file name, never patient data.
        """
        try:
            yield
        except RadiographError as error:
            # A text file of an archive was not meant; one that calls itself DICOM and is none is damaged.
            is_damaged = error.code == "not_dicom" and name.lower().endswith(".dcm")
            if error.code in NOT_MEANT and not is_damaged:
                self._skip(name, error.code, str(error))
            else:
                self._fail(name, error.code, str(error))
        except Exception as error:  # whatever is wrong with one image, the others are processed
            self._fail(name, *fault_of(error))

    def judged(self, name: str, reliability: Reliability) -> None:
        """Note the verdict on an image, with its reasons."""
        reasons = f" ({', '.join(reliability.reasons)})" if reliability.reasons else ""
        logger.info("segmented %s: %s%s", name, reliability.verdict, reasons)
        judged = {"outcome": "segmented", "verdict": reliability.verdict, "reasons": list(reliability.reasons)}
        self.images[name] = {**judged, "files": []}

    def wrote(self, name: str, paths: list[Path]) -> None:
        """Note output files of an image."""
        self.written += paths
        self.images[name]["files"] += [path.name for path in paths]
        for path in paths:
            logger.info("wrote %s", path)

    def delivered(self, archive: str, delivery: Delivery) -> None:
        """Note what an archive confirmed, what waits and what it refused."""
        self._is_delivered = delivery.is_complete
        for refusal in delivery.refused:
            logger.error("refused by %s: %s: %s", archive, refusal.sop_instance_uid, refusal.reason)
        if delivery.problem:
            logger.error("%s", delivery.problem)
        sent, waiting = len(delivery.sent), len(delivery.waiting)
        logger.info("%d objects sent to %s, %d wait, %d refused", sent, archive, waiting, len(delivery.refused))
        self.delivery = {
            "archive": archive,
            "sent": list(delivery.sent),
            "waiting": list(delivery.waiting),
            "refused": {refusal.sop_instance_uid: refusal.reason for refusal in delivery.refused},
            "problem": delivery.problem,
        }

    def not_delivered(self, archive: str, problem: str) -> None:
        """Note that nothing could be sent; the results stay where they were written."""
        self._is_delivered = False
        logger.error("nothing was sent to %s: %s", archive, problem)
        self.delivery = {"archive": archive, "sent": [], "problem": problem}

    @property
    def exit_code(self) -> int:
        """0 if something was written, nothing failed, and an archive confirmed all that was for it, else 1."""
        return 0 if self.written and not self.failures and self._is_delivered else 1

    def summary(self) -> str:
        """Return the run in one line."""
        parts = [f"{len(self.written)} files written"]
        if self.skipped:
            reasons = ", ".join(f"{count} {code}" for code, count in self.skipped.most_common())
            parts.append(f"{self.skipped.total()} skipped ({reasons})")
        if self.failures:
            codes = Counter(failure["code"] for failure in self.failures)
            reasons = ", ".join(f"{count} {code}" for code, count in codes.most_common())
            parts.append(f"{len(self.failures)} failed ({reasons})")
        return ", ".join(parts)

    def write(self, folder: Path) -> None:
        """Write the record as ``run.json``: what became of each image and why, and how many were left out.

        Raises:
            OSError: if the folder cannot be written to.
        """
        record = {
            "schema": "chexmask-u/run/1",
            "skipped": dict(self.skipped),
            "failures": self.failures,
            "images": self.images,
            "delivery": self.delivery or None,
        }
        with atomic_path(folder / RECORD_NAME) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

    def _skip(self, name: str, code: str, message: str) -> None:
        self.skipped[code] += 1
        if code == "wrong_modality":  # one line per slice of a CT would bury the others
            logger.debug("skipped %s: %s", name, code)
            return
        logger.info("skipped %s: %s", name, code)
        # A duplicate has the name of the image that was taken.
        self.images.setdefault(name, {"outcome": "skipped", "code": code, "message": message})

    def _fail(self, name: str, code: str, message: str) -> None:
        logger.error("failed %s: %s [%s]", name, message, code)
        self.failures.append({"name": name, "code": code, "message": message})
        self.images[name] = {**self.images.get(name, {}), "outcome": "failed", "code": code, "message": message}
