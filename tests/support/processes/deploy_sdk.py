"""Which tests need the MONAI Deploy App SDK."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

import pytest

__all__ = ["NEEDS_SDK"]


def _has_sdk() -> bool:
    # Not by importing it: that takes seconds, and importlib.util.find_spec would import MONAI.
    try:
        distribution("monai-deploy-app-sdk")
    except PackageNotFoundError:
        return False
    return True


# Beside the mark `deploy`, which leaves these tests out altogether.
NEEDS_SDK = pytest.mark.skipif(not _has_sdk(), reason="the MONAI Deploy App SDK is not installed")
