"""A CR header with other values, and what examining it gives."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import FileDataset
from support.samples.dicom import make_cr

from monai_chexmask_u.dicom.reading.header import HeaderFacts, examine
from monai_chexmask_u.radiograph import RadiographError

__all__ = ["changed", "examine_changed", "refusal"]


def changed(**values: Any) -> FileDataset:
    """A CR image with other values; None deletes the element."""
    dataset = make_cr(rows=64, columns=64)
    for keyword, value in values.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def examine_changed(**values: Any) -> HeaderFacts:
    """Return what the header says, or raise as `examine` does."""
    return examine(changed(**values))


def refusal(dataset: FileDataset) -> str:
    """Return why a header is refused; the message names no patient."""
    with pytest.raises(RadiographError) as refused:
        examine(dataset)
    for private in ("Synthetic", "SYN-0001", "A1", str(dataset.get("StudyInstanceUID", "1.2"))):
        assert private not in str(refused.value)
    return refused.value.code
