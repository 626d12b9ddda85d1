"""Build the MONAI Bundle as one zip file: what the model zoo and `monai.bundle` take.

    python scripts/build_bundle.py [-o dist]

The zip holds one folder, the bundle with the library beside its configurations, so that it runs wherever MONAI and the
packages named in its metadata are installed. The same commit gives the same bytes. Every file stays below the 25 MB
that the model zoo's repository allows, so that no ``large_files.yml`` is needed.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from monai_chexmask_u.files.atomic import atomic_path, prepare_folder

__all__ = ["NAME", "build"]

NAME: Final = "chest_xray_landmark_uncertainty"
REPOSITORY: Final = Path(__file__).resolve().parents[1]

LARGEST_FILE: Final = 25_000_000  # of the model zoo's repository
LARGEST_ZIP: Final = 30_000_000
# What belongs to it. Anything else in these folders, such as exported models and results, was left there by runs.
PARTS: Final = {
    "bundle": ("LICENSE", "configs/*.json", "configs/*.conf", "docs/*.*", "models/model*.pt"),
    "monai_chexmask_u": ("**/*.py", "**/*.npz", "py.typed"),
}
DATE: Final = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file knows: the same bytes whenever it is built


def build(output: Path) -> Path:
    """Build the zip.

    Args:
        output: folder for it; made if it is not there.

    Returns:
        The file.

    Raises:
        ValueError: if a file, or all of them, are too large, or the metadata do not tell what is new in this version.
        OSError: if it cannot be written.
    """
    metadata = json.loads((REPOSITORY / "bundle" / "configs" / "metadata.json").read_text(encoding="utf-8"))
    if metadata["version"] not in metadata["changelog"]:
        raise ValueError(f"bundle/configs/metadata.json: the changelog does not tell of version {metadata['version']}")
    prepare_folder(output)
    target = output / f"{NAME}_v{metadata['version']}.zip"
    with atomic_path(target) as path, zipfile.ZipFile(path, "w") as archive:
        for name, file in sorted(_files()):
            entry = zipfile.ZipInfo(f"{NAME}/{name}", DATE)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, _small_enough(file).read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=9)
        archive.close()
        if path.stat().st_size > LARGEST_ZIP:
            raise ValueError(f"the zip has {path.stat().st_size} bytes; {LARGEST_ZIP} are allowed")
    return target


def _files() -> Iterator[tuple[str, Path]]:
    """Yield the name in the bundle's folder, and the file, of everything that belongs to it."""
    for folder, patterns in PARTS.items():
        for pattern in patterns:
            for file in (REPOSITORY / folder).glob(pattern):
                inner = file.relative_to(REPOSITORY if folder != "bundle" else REPOSITORY / folder)
                yield inner.as_posix(), file


def _small_enough(file: Path) -> Path:
    if file.stat().st_size > LARGEST_FILE:
        raise ValueError(
            f"{file.relative_to(REPOSITORY)}: larger than {LARGEST_FILE} bytes; list it in large_files.yml"
        )
    return file


def main() -> int:
    """Build it, and say where it lies."""
    parser = argparse.ArgumentParser(description="Build the MONAI Bundle as one zip file.")
    parser.add_argument("-o", "--output", type=Path, default=REPOSITORY / "dist", help="folder for the zip")
    try:
        target = build(parser.parse_args().output)
    except (OSError, ValueError) as error:
        print(f"build_bundle: {error}", file=sys.stderr)
        return 1
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
