"""Labels that were stored before: each is read once, and one that cannot be learned from is flagged in its notes."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any, Final

from monailabel.interfaces.datastore import DefaultLabelTag

from label.images.folder_datastore import ChestLocalDatastore
from label.images.submissions import read_submitted
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_radiograph

__all__ = ["check_in_background", "check_stored_labels"]

logger = logging.getLogger(__name__)

RULES: Final = 1
"""Number of the rules of `read_submitted`; a label that other rules have checked is checked again."""


def check_in_background(datastore: ChestLocalDatastore) -> threading.Thread:
    """Check the stored labels while the server starts to answer."""
    thread = threading.Thread(target=check_stored_labels, args=(datastore,), name="check-labels", daemon=True)
    thread.start()
    return thread


def check_stored_labels(datastore: ChestLocalDatastore) -> dict[str, str]:
    """Read the final labels that were not checked yet, and note with each ``checked``, and ``problem`` if there is one.

    Training leaves out what has a problem, whether it is noted or not.

    Returns:
        The problems by image id.
    """
    tag: str = DefaultLabelTag.FINAL.value
    found: dict[str, dict[str, Any]] = {}
    for image_id in datastore.get_labeled_images():
        try:
            info = datastore.get_label_info(image_id, tag)
            if info.get("checked") != RULES:
                found[image_id] = {"checked": RULES, "problem": _problem(datastore, image_id, tag, info)}
        except Exception as error:  # deleted meanwhile, or not readable today: the next start checks it
            logger.warning("a stored label could not be checked (%s)", type(error).__name__)
    datastore.update_label_infos(tag, found)
    problems = {image_id: str(noted["problem"]) for image_id, noted in found.items() if noted["problem"]}
    if problems:
        logger.warning(
            "%d of %d stored labels cannot be learned from; the datastore says why (problem)", len(problems), len(found)
        )
    return problems


def _problem(datastore: ChestLocalDatastore, image_id: str, tag: str, info: dict[str, Any]) -> str | None:
    radiograph = read_radiograph(Path(datastore.get_image_uri(image_id)))
    try:
        read_submitted(Path(datastore.get_label_uri(image_id, tag)), radiograph, info)
    except RadiographError:
        raise
    except ValueError as error:
        return str(error)
    return None
