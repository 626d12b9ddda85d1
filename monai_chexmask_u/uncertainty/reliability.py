"""The verdict on a result."""

from __future__ import annotations

from monai_chexmask_u.segmentation import Reliability

__all__ = ["assess"]


def assess() -> Reliability:
    """Return the verdict on one result.

    Until the shipped model has been calibrated, nothing can be accepted without a look: the verdict is ``review``.
    """
    return Reliability("review", ("not_calibrated",))
