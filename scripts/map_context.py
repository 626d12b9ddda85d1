"""Write what `make map` has Docker build, without Docker and without the network: `map_context.py FOLDER`.

It is the SDK's packager that writes it: Dockerfile, both manifests, requirements, application, library and model. Only
its last step is replaced, which hands the folder to Docker.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from map_package import assemble, run_packager

__all__ = ["write_context"]


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
            run_packager(parts, "--build-cache", Path(temporary, "cache"), "--log-level", "WARN")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
