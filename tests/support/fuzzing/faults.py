"""Stand-ins for the pipeline that do what the harness must notice, each named by the text of the file."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Final

__all__ = ["FAULTS", "make_faults"]

MEMORY_BYTES: Final = 300_000_000


def refused(folder: Path, *, message: str = "the file is cut off: copy it again", code: str = "truncated") -> object:
    return SimpleNamespace(code=code, message=message, written=())


def accepted(folder: Path) -> object:
    """Return what a result looks like, with empty files."""
    for suffix in (".json", ".seg.dcm", ".pr.dcm", ".sr.dcm"):
        (folder / f"radiograph{suffix}").write_text("{}")
    return SimpleNamespace(code=None, message="", written=())


def abort(folder: Path) -> object:
    os.abort()


def leave(folder: Path) -> object:
    os._exit(3)


def loop(folder: Path) -> object:
    while True:
        pass


def wait(folder: Path) -> object:
    """Wait for ever, without any work."""
    import threading

    threading.Event().wait()
    return refused(folder)


def take_memory(folder: Path) -> object:
    taken = b"\1" * MEMORY_BYTES
    return refused(folder) if taken else None


def take_all_memory(folder: Path) -> object:
    """Take more than the guard allows, as a damaged size makes programs do."""
    return bytearray(2**50)


def leave_results(folder: Path) -> object:
    accepted(folder)
    return refused(folder)


def leave_part(folder: Path) -> object:
    (folder / ".partial-123.seg.dcm").write_bytes(b"")
    return refused(folder)


def forget_result(folder: Path) -> object:
    found = accepted(folder)
    (folder / "radiograph.pr.dcm").unlink()
    return found


def write_no_number(folder: Path) -> object:
    found = accepted(folder)
    (folder / "radiograph.json").write_text('{"area": NaN}')
    return found


def write_radiographs(folder: Path) -> object:
    """Write objects, but of the wrong kind: the radiograph itself in place of the results."""
    found = accepted(folder)
    for kind in ("seg", "pr", "sr"):
        shutil.copy(folder.parent / "good.dcm", folder / f"radiograph.{kind}.dcm")
    return found


def name_patient(folder: Path) -> object:
    return refused(folder, message="the name LEAKNAME^SECRETLY is malformed: send it again")


def print_patient(folder: Path) -> object:
    print("LEAK-4711 is no identifier")
    return refused(folder)


def print_patient_by_library(folder: Path) -> object:
    """Print below Python, as decoders do."""
    os.write(2, b"bad value Leakname^Secretly\n")
    return refused(folder)


def print_traceback(folder: Path) -> object:
    print("Traceback (most recent call last):", file=sys.stderr)
    return refused(folder)


def say_two_lines(folder: Path) -> object:
    return refused(folder, message="the file is\ncut off")


def say_nothing(folder: Path) -> object:
    return refused(folder, message=" ")


def fail(folder: Path) -> object:
    return refused(folder, code="failed")


def raise_error(folder: Path) -> object:
    raise KeyError("Leakname")


# What each does, and the words in which the harness tells of it.
FAULTS: Final[dict[Callable[[Path], object], str]] = {
    abort: "crash: SIGABRT",
    leave: "crash: exit code 3",
    loop: "hang",
    wait: "hang",
    take_memory: "memory: ",
    take_all_memory: "raised MemoryError",
    leave_results: "a refusal that leaves radiograph.json, radiograph.pr.dcm, radiograph.seg.dcm, radiograph.sr.dcm",
    leave_part: "a refusal that leaves .partial-123.seg.dcm",
    forget_result: "results radiograph.json, radiograph.seg.dcm, radiograph.sr.dcm in place of",
    write_no_number: "the record is no JSON: NaN",
    write_radiographs: "modality DX of seg",
    name_patient: "patient data",
    print_patient: "patient data",
    print_patient_by_library: "patient data",
    print_traceback: "a traceback",
    say_two_lines: "no message of one line",
    say_nothing: "no message of one line",
    fail: "failed: ",
    raise_error: "raised KeyError",
}


def make_faults() -> Callable[[Path, Path], object]:
    """Return a pipeline that does what a file's text asks for by name, and accepts DICOM files."""
    by_name: dict[str, Callable[[Path], object]] = {fault.__name__: fault for fault in FAULTS}
    by_name["refused"] = refused

    def run(path: Path, folder: Path) -> object:
        data = path.read_bytes()
        return accepted(folder) if data[128:132] == b"DICM" else by_name[data.decode()](folder)

    return run
