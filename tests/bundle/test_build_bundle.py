"""What goes into the bundle's zip."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path


def build(repository: Path, output: Path) -> bytes:
    """Build the zip by a checkout's own script and return its content."""
    command = [sys.executable, str(repository / "scripts" / "build_bundle.py"), "-o", str(output)]
    subprocess.run(command, check=True, capture_output=True)
    (archive,) = output.glob("*.zip")
    return archive.read_bytes()


def test_what_runs_leave_behind_does_not_change_the_zip(repository: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for folder in ("bundle", "monai_chexmask_u", "scripts"):
        shutil.copytree(repository / folder, checkout / folder)
    clean = build(checkout, tmp_path / "clean")
    for name in ("bundle/models/model.ts", "bundle/eval/a.json", "bundle/runs/best.pt", "bundle/notes.txt"):
        path = checkout / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("left behind")
    assert build(checkout, tmp_path / "used") == clean


def test_the_zip_holds_what_a_bundle_needs(repository: Path, tmp_path: Path) -> None:
    build(repository, tmp_path)
    with zipfile.ZipFile(next(tmp_path.glob("*.zip"))) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
    needed = {"LICENSE", "configs/metadata.json", "configs/inference.json", "configs/logging.conf", "docs/README.md"}
    needed |= {"docs/data_license.txt", "docs/evaluation.png", "models/model.pt", "models/model.calibration.pt"}
    needed |= {
        "models/model_no_skip.pt",
        "monai_chexmask_u/annotations/landmark_placement.npz",
        "monai_chexmask_u/py.typed",
    }
    library = repository / "monai_chexmask_u"
    needed |= {path.relative_to(repository).as_posix() for path in library.rglob("*.py")}
    assert needed <= names
    assert not [name for name in names if name.startswith(("monai_chexmask_u/bundle/", "large_files"))]
