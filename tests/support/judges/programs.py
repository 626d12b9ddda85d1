"""Programs that judge: where they are, and what they say."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

__all__ = ["find_program", "is_installed", "run"]

# A judge that hangs on a broken file must not hang the tests.
_TIMEOUT_S: Final = 120


def find_program(name: str) -> str | None:
    """Return the path of a program, or None.

    Python packages put their programs beside the interpreter, which is not on the PATH of an environment that is not
    activated.
    """
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def is_installed(name: str) -> bool:
    """Tell whether there is a program or a Python package of that name."""
    return find_program(name) is not None or importlib.util.find_spec(name) is not None


def run(name: str, *arguments: str | Path) -> tuple[int, str]:
    """Run a program and return its exit code, and all that it wrote to standard output and standard error.

    Raises:
        FileNotFoundError: if it is not installed.
    """
    program = find_program(name)
    if program is None:
        raise FileNotFoundError(f"{name} is not installed")
    command = [program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S)
    return done.returncode, done.stdout + done.stderr
