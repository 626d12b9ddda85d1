"""What hostile peers can do: one table of tricks with their outcome, the seconds and the memory that they cost.

``python -m benchmarks.hostile_peers [SECTION ...] [--deadline SECONDS]`` runs the sections that are named, or all. A
section is a function that yields rows; it is added to `SECTIONS`. The peers and clients are those of the tests.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.processes.watched_runs import Run, WatchedRuns
from support.samples.dicom import make_cr, save
from support.samples.study_archive import ACCESSION
from support.servers.hostile_archive import FETCH_TRICKS, SEND_TRICKS, Trick, serve_trick
from support.servers.hostile_node import NODE_TRICKS, serve_node_trick

from benchmarks.hostile_label_clients import label_server
from benchmarks.hostile_page_clients import web_page
from benchmarks.hostile_rows import GRACE_S, MOST_MEGABYTES, Row, Section


def command_line(deadline_s: float) -> Iterator[Row]:
    """Fetch with the command line."""
    yield from _fetching("archive", ["fetch", "--url"], deadline_s)


def application(deadline_s: float) -> Iterator[Row]:
    """Fetch with the application."""
    yield from _fetching("app", ["--fetch-from"], deadline_s)


def sending_by_web(deadline_s: float) -> Iterator[Row]:
    """Send by STOW-RS."""
    ways = ((trick.name, _address_of(trick)) for trick in SEND_TRICKS.values())
    yield from _sending("--url", ways, deadline_s)


def sending_to_a_node(deadline_s: float) -> Iterator[Row]:
    """Send by C-STORE."""
    yield from _sending("--node", ((name, serve_node_trick(play)) for name, play in NODE_TRICKS.items()), deadline_s)


SECTIONS: Final[dict[str, Section]] = {
    "fetch": command_line,
    "app": application,
    "stow": sending_by_web,
    "node": sending_to_a_node,
    "page": web_page,
    "label": label_server,
}


def main() -> int:
    """Print the table; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--deadline", type=float, default=2.0, help="seconds for an answer")
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"there is no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    print("| door | trick | outcome | s | MB |\n| --- | --- | --- | ---: | ---: |")
    rows = 0
    broken = 0
    for name in options.sections or SECTIONS:
        for row in SECTIONS[name](options.deadline):
            rows, broken = rows + 1, broken + (not row.is_good)
            mark = "" if row.is_good else "**BROKEN** "
            print(
                f"| {name} | {row.trick} | {mark}{row.outcome} | {row.seconds:.1f} | {row.megabytes:.0f} |", flush=True
            )
    print(f"\n{rows} tricks with a deadline of {options.deadline:g} s; {broken} broke a promise")
    return int(broken > 0)


def _fetching(program: str, command: list[str], deadline_s: float) -> Iterator[Row]:
    with _warm_runs() as (runs, _):
        for trick in FETCH_TRICKS.values():
            with tempfile.TemporaryDirectory() as folder, serve_trick(trick) as archive:
                asked = [*command, archive.url, "--accession", ACCESSION, "-o", f"{folder}/out"]
                run = runs.run(program, [*asked, "--answer-timeout", deadline_s])
                yield _row(trick.name, run, deadline_s, archive.url)


def _sending(option: str, ways: Iterator[tuple[str, AbstractContextManager[str]]], deadline_s: float) -> Iterator[Row]:
    with _warm_runs() as (runs, file):
        for number, (name, way) in enumerate(ways):
            with way as address:
                outbox = file.parent / f"{number}"
                sent = ["send", file, option, address, "--outbox", outbox, "--answer-timeout", deadline_s]
                yield _row(name, runs.run("archive", sent), deadline_s, address)


@contextmanager
def _warm_runs() -> Iterator[tuple[WatchedRuns, Path]]:
    """Start the process that runs all; give it, and an object to send."""
    with tempfile.TemporaryDirectory() as folder, WatchedRuns() as runs:
        file = save(make_cr(rows=2500, columns=2000), Path(folder) / "cr.dcm")
        runs.warm_up(file, Path(folder))
        yield runs, file


def _row(trick: str, run: Run, deadline_s: float, address: str) -> Row:
    line = run.stderr.strip().replace(address, "ARCHIVE").replace("|", "/").replace("\n", " // ")
    promises = (
        run.code in (1, 2),
        run.stderr.count("\n") == 1,
        run.seconds < deadline_s + GRACE_S,
        run.megabytes < MOST_MEGABYTES,
    )
    return Row(trick, f"exit {run.code}: {line.partition('; ')[0]}", run.seconds, run.megabytes, all(promises))


@contextmanager
def _address_of(trick: Trick) -> Iterator[str]:
    """Give the address of a hostile archive, as a node's server does."""
    with serve_trick(trick) as archive:
        yield archive.url


if __name__ == "__main__":
    sys.exit(main())
