"""Where a result comes from: the software and the commit that made it."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import monai
import torch

from monai_chexmask_u import __version__

__all__ = ["commit", "software"]


def software(code_commit: str | None) -> dict[str, str | None]:
    """Return the versions that a record names.

    Args:
        code_commit: from `commit`, asked for when the work began: the checkout may change meanwhile.
    """
    return {
        "monai-chexmask-u": __version__,
        "commit": code_commit,
        "torch": torch.__version__,
        "monai": monai.__version__,
        "python": platform.python_version(),
    }


def commit() -> str | None:
    """Return the commit of the checkout that this runs from, with a mark if it was changed; None if it is installed."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
