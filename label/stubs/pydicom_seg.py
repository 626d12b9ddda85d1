"""Stands where the package pydicom-seg would: it needs an old pydicom, and the label app has its own segmentations.

MONAI Label imports it when it starts, and uses it only for outputs that this app makes otherwise.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """Refuse what would need the package."""
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(f"pydicom_seg.{name} needs the package pydicom-seg, which is not installed")
