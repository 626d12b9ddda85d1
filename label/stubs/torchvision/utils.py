"""The two functions that MONAI Label imports, for images of interactive models that this app does not have."""

from __future__ import annotations

from typing import Any, NoReturn


def make_grid(*_arguments: Any, **_options: Any) -> NoReturn:
    """Refuse."""
    raise ImportError("torchvision.utils.make_grid needs torchvision, which is not installed")


def save_image(*_arguments: Any, **_options: Any) -> NoReturn:
    """Refuse."""
    raise ImportError("torchvision.utils.save_image needs torchvision, which is not installed")
