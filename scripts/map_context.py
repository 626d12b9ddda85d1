"""Write what `make map` has Docker build, without Docker and without the network: `map_context.py FOLDER`.

It is the SDK's packager that writes it: Dockerfile, both manifests, requirements, application, library and model. Only
its last step is replaced, which hands the folder to Docker.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

from map_package import assemble, run_packager

__all__ = ["write_context"]

BASE_IMAGE = "base-image-of-the-sdk"


def main(arguments: list[str]) -> int:
    """Write the build context to the folder that is named; return the exit code."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python scripts/map_context.py FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    if folder.exists():
        print(f"map_context.py: {folder} is there already; give the path of a new folder", file=sys.stderr)
        return 2
    try:
        write_context(folder)
    except OSError as error:
        print(f"map_context.py: {error}", file=sys.stderr)
        return 1
    print(f"wrote {folder / 'Dockerfile'} and what it copies")
    return 0


def write_context(folder: Path) -> None:
    """Write the build context.

    Args:
        folder: a path at which there is nothing yet.

    Raises:
        OSError: if a part of the package is missing or the folder cannot be written.
        SystemExit: if the packager fails; it has said why.
    """
    from holoscan_cli.packager.container_builder import BuilderBase
    from holoscan_cli.packager.parameters import PlatformBuildResults, PlatformParameters

    def keep(builder: Any, dockerfile: str, platform: PlatformParameters) -> PlatformBuildResults:
        shutil.copytree(Path(dockerfile).parent, folder)
        results = PlatformBuildResults(platform)
        results.succeeded = True
        return results

    with tempfile.TemporaryDirectory() as temporary:
        parts = Path(temporary, "parts")
        assemble(parts)
        # It reports a finished image; that there is none is the point.
        with patch.object(BuilderBase, "_build_internal", keep), contextlib.redirect_stdout(io.StringIO()):
            source = _artifacts(Path(temporary, "artifacts.json"))
            run_packager(parts, "--source", source, "--build-cache", Path(temporary, "cache"), "--log-level", "WARN")


def _artifacts(path: Path) -> Path:
    """Write what the packager would else look up on the web, with a stand-in for the image that it builds on."""
    holoscan: dict[str, object] = {
        "wheel-version": version("holoscan-cu13"),
        "debian-version": None,
        "base-images": {"dgpu": BASE_IMAGE},
        "build-images": {"dgpu": {}, "igpu": {}, "cpu": {}},
    }
    path.write_text(json.dumps({version("holoscan-cu13"): {"holoscan": holoscan}}))
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
