"""The MONAI Application Package behind `make map`: put its parts together, and have the SDK's packager build it.

Building needs Docker and the network; `scripts/map_context.py` shows without them what would be built.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import monai_chexmask_u

__all__ = ["assemble", "run_packager"]

REPOSITORY = Path(__file__).resolve().parents[1]
NAME, MODEL = "chexmask-u", "chexmask_u"
# The bundle holds a variant of the weights as well, and whatever was trained in it; a package has one model.
BUNDLE_PARTS = ("LICENSE", "configs", "docs", "models/model.pt", "models/model.calibration.pt")


def main(arguments: list[str]) -> int:
    """Build the image; return the exit code."""
    parser = argparse.ArgumentParser(prog="map_package.py", description="Build the MONAI Application Package.")
    parser.add_argument("--torch-index", metavar="URL", help="a package index with builds of PyTorch that pip prefers")
    parser.add_argument(
        "--source", metavar="FILE", help="the packager's list of images to build on, if not from the web"
    )
    options = parser.parse_args(arguments)
    if not has_docker():
        sentence = "no Docker engine answers; `python scripts/map_context.py FOLDER` writes what one would build"
        print(f"make map: {sentence}", file=sys.stderr)
        return 1
    parts = REPOSITORY / "build" / "map"
    shutil.rmtree(parts, ignore_errors=True)
    try:
        assemble(parts)
    except OSError as error:
        print(f"make map: {error}", file=sys.stderr)
        return 1
    if options.torch_index:
        requirements = parts / "app" / "requirements.txt"
        requirements.write_text(f"--extra-index-url {options.torch_index}\n{requirements.read_text()}")
    run_packager(parts, *(("--source", options.source) if options.source else ()))
    return 0


def has_docker() -> bool:
    """Tell whether a Docker engine answers."""
    try:
        return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def assemble(parts: Path) -> None:
    """Copy what goes into the package: application, library, model and license.

    Args:
        parts: a new folder.

    Raises:
        OSError: if something is missing, the weights for instance.
    """
    _copy(REPOSITORY / "app", parts / "app")
    _copy(REPOSITORY / "monai_chexmask_u", parts / "lib" / "monai_chexmask_u")
    for part in BUNDLE_PARTS:
        _copy(REPOSITORY / "bundle" / part, parts / "models" / MODEL / part)
    _copy(REPOSITORY / "LICENSE", parts / "docs" / "LICENSE")


def run_packager(parts: Path, *options: str | Path) -> None:
    """Run `monai-deploy package` on the parts, in this process.

    Args:
        parts: from `assemble`.
        options: further options of the command.

    Raises:
        SystemExit: if it fails; it has said why.
    """
    from holoscan_cli.__main__ import main as monai_deploy

    paths = {
        "--config": parts / "app" / "app.yaml",
        "--add": parts / "lib",
        "--models": parts / "models",
        "--docs": parts / "docs",
    }
    chosen = [text for option in paths.items() for text in option]
    tag = f"{NAME}:{monai_chexmask_u.__version__}"
    fixed = ["--sdk", "monai-deploy", "--platform", "x86_64", "--tag", tag]
    arguments = ["package", parts / "app", *fixed, *chosen, *options]
    monai_deploy(["monai-deploy", *map(str, arguments)])


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
