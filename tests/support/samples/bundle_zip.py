"""The bundle's zip, built and unpacked as its users do."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

__all__ = ["NAME", "unpack_bundle"]

NAME: Final = "chest_xray_landmark_uncertainty"


def unpack_bundle(repository: Path, folder: Path) -> Path:
    """Build the zip, unpack it into a folder, and return the bundle's own folder."""
    command = [sys.executable, str(repository / "scripts" / "build_bundle.py"), "-o", str(folder / "zip")]
    subprocess.run(command, check=True, capture_output=True)
    (archive,) = (folder / "zip").glob(f"{NAME}_v*.zip")
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder)
    return folder / NAME
