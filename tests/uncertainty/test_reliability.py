from __future__ import annotations

from monai_chexmask_u.segmentation import Reliability
from monai_chexmask_u.uncertainty import assess


def test_nothing_is_accepted_before_a_calibration() -> None:
    assert assess() == Reliability("review", ("not_calibrated",))
