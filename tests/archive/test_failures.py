"""A package of the extra that is missing is named, with what to do."""

from __future__ import annotations

import pytest

from monai_chexmask_u.archive.failures import ArchiveUnusable, require_packages


def test_package_that_is_there_is_enough() -> None:
    require_packages("json", "pathlib")


def test_missing_package_is_named_with_its_extra() -> None:
    with pytest.raises(ArchiveUnusable) as caught:
        require_packages("json", "no_such_package")
    assert str(caught.value) == (
        "the package no_such_package is missing; install this one with its extra: pip install '.[archive]'"
    )
