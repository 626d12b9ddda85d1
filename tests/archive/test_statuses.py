"""A status says whether an object is stored, refused for good, or may be taken later."""

from __future__ import annotations

import pytest
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS, code_to_category

from monai_chexmask_u.archive.failures import ArchiveError, ArchiveUnusable, ObjectRefused, TryLater
from monai_chexmask_u.archive.statuses import check_status


def test_success_has_nothing_to_say() -> None:
    assert check_status(0x0000, "X") is None


@pytest.mark.parametrize(
    ("status", "words"),
    [(0xB000, "values were changed"), (0xB006, "discarded"), (0xB007, "does not match"), (0xB123, "warning")],
)
def test_warning_counts_as_stored(status: int, words: str) -> None:
    assert words in str(check_status(status, "X"))


def test_duplicate_counts_as_stored() -> None:
    assert check_status(0x0111, "X") == "the archive has it already (0x0111)"


@pytest.mark.parametrize("status", [0x0117, 0x0122, 0x0212, 0xA900, 0xA9FF, 0xC000, 0xC122, 0xCFFF])
def test_object_is_refused_for_good(status: int) -> None:
    with pytest.raises(ObjectRefused, match=rf"^X refuses this object: .+ \(0x{status:04X}\)$"):
        check_status(status, "X")


@pytest.mark.parametrize("status", [0x0124, 0x0211])
def test_client_is_refused(status: int) -> None:
    with pytest.raises(ArchiveUnusable, match=rf"\(0x{status:04X}\); ask"):
        check_status(status, "X")


@pytest.mark.parametrize("status", [0x0110, 0x0210, 0xA700, 0xA7FF, 0xFE00, 0x1234])
def test_failure_that_may_pass_and_unknown_status_are_tried_again(status: int) -> None:
    with pytest.raises(TryLater, match=rf"\(0x{status:04X}\); see its log$"):
        check_status(status, "X")


def test_stored_is_what_pynetdicom_counts_as_stored() -> None:
    for status in STORAGE_SERVICE_CLASS_STATUS.keys() - {0x0111}:  # a failure, because the archive has the object
        assert is_stored(status) == (code_to_category(status) in ("Success", "Warning")), hex(status)


def is_stored(status: int) -> bool:
    try:
        check_status(status, "X")
    except ArchiveError:
        return False
    return True
