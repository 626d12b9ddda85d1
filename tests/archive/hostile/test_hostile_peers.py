"""Whatever an archive or node does, the program ends in time and in bounds, with one line, and takes nothing wrong."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.processes.watched_runs import Run, WatchedRuns
from support.samples.dicom import make_cr, save
from support.samples.study_archive import ACCESSION, STUDY
from support.servers.hostile_archive import CANARY, FETCH_TRICKS, SEND_TRICKS, Trick, serve_trick
from support.servers.hostile_node import NODE_TRICKS, serve_node_trick

DEADLINE_S = 1.0
GRACE_S = 5.0  # what the promise allows beyond the deadline
MOST_MEGABYTES = 1000
UNTOLD = (CANARY, "SYN-0001", "Synthetic", "OTHER-0002", "ELSEWHERE", "A10", "\x1b")

# One of each kind; all others are tried with the application at night.
OF_THE_APPLICATION = (
    *("takes the connection and says nothing", "body byte by byte", "a body without end", "a gzip bomb"),
    *("JSON nested 1,000,000 deep", "redirects to itself", "wants to be asked again in 10^400 s", "no HTTP"),
    *("an object byte by byte", "a boundary that is none", "an object of another patient", "pages without end"),
)


@pytest.fixture(scope="module")
def runs(radiograph: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedRuns]:
    with WatchedRuns() as watched:
        watched.warm_up(radiograph, tmp_path_factory.mktemp("warm"))
        yield watched


@pytest.fixture(scope="module")
def radiograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An object that is larger than what the line holds back."""
    return save(make_cr(rows=2500, columns=2000), tmp_path_factory.mktemp("radiograph") / "cr.dcm")


def check(run: Run) -> None:
    assert run.code in (1, 2)
    assert run.stderr.startswith("chexmask-u")
    assert run.stderr.count("\n") == 1
    assert [word for word in UNTOLD if word in run.stdout + run.stderr] == []
    assert run.stderr[:-1].isprintable()
    assert len(run.stderr) < 600
    assert run.seconds < DEADLINE_S + GRACE_S
    assert run.megabytes < MOST_MEGABYTES


@pytest.mark.parametrize("trick", FETCH_TRICKS.values(), ids=lambda trick: trick.name)
def test_fetching_from_a_hostile_archive(runs: WatchedRuns, tmp_path: Path, trick: Trick) -> None:
    with serve_trick(trick) as archive:
        options = ["--answer-timeout", DEADLINE_S, "--attempts", 1]
        run = runs.run("archive", ["fetch", "--url", archive.url, "--accession", ACCESSION, "-o", tmp_path, *options])
    check(run)
    fetched = {path.name for path in tmp_path.iterdir()}
    others = {f"{STUDY}.1.2.dcm", f"{STUDY}.3.1.dcm", f"{STUDY}.3.2.dcm"}
    assert fetched in (set(), others)
    assert run.code == (1 if fetched else 2)


@pytest.mark.parametrize(
    "trick",
    [
        pytest.param(trick, id=trick.name, marks=[] if trick.name in OF_THE_APPLICATION else pytest.mark.slow)
        for trick in FETCH_TRICKS.values()
    ],
)
def test_the_application_fetches_from_a_hostile_archive(runs: WatchedRuns, tmp_path: Path, trick: Trick) -> None:
    with serve_trick(trick) as archive:
        source = ["--fetch-from", archive.url, "--accession", ACCESSION, "-o", tmp_path / "out"]
        run = runs.run("app", [*source, "--answer-timeout", DEADLINE_S, "--attempts", 1])
    check(run)
    assert run.code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("trick", SEND_TRICKS.values(), ids=lambda trick: trick.name)
def test_sending_to_a_hostile_archive(runs: WatchedRuns, tmp_path: Path, radiograph: Path, trick: Trick) -> None:
    with serve_trick(trick) as archive:
        check_sending(runs, tmp_path, radiograph, "--url", archive.url)


@pytest.mark.parametrize("name", NODE_TRICKS)
def test_sending_to_a_hostile_node(runs: WatchedRuns, tmp_path: Path, radiograph: Path, name: str) -> None:
    with serve_node_trick(NODE_TRICKS[name]) as node:
        check_sending(runs, tmp_path, radiograph, "--node", node)


def check_sending(runs: WatchedRuns, outbox: Path, radiograph: Path, *target: str) -> None:
    options = ["--outbox", outbox, "--answer-timeout", DEADLINE_S, "--attempts", 1]
    run = runs.run("archive", ["send", radiograph, *target, *options])
    check(run)
    assert run.code == 1
    (waiting,) = outbox.glob("*.dcm")
    assert waiting.read_bytes() == radiograph.read_bytes()
    assert {path.name for path in outbox.iterdir()} == {waiting.name, "refused", "target.json"}


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_credentials_go_nowhere_else(runs: WatchedRuns, tmp_path: Path, code: int) -> None:
    """Another host would get them, or the patient's number, with the first connection."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = f"http://127.0.0.1:{other.getsockname()[1]}/dicom-web/studies"
        trick = Trick(
            "redirects", "studies", lambda victim: victim.answer(b"", status=f"{code} -", more=f"Location: {place}\r\n")
        )
        token = tmp_path / "token"
        token.write_text("dG9rZW4")
        with serve_trick(trick) as archive:
            options = ["--token-file", token, "--answer-timeout", DEADLINE_S]
            run = runs.run("archive", ["fetch", "--url", archive.url, "--study", STUDY, "-o", tmp_path, *options])
        other.settimeout(0.1)
        with pytest.raises(TimeoutError):
            other.accept()
    check(run)
    assert "redirects to another address, which is not followed" in run.stderr
    assert len(archive.asked) == 1


def test_a_benign_archive_is_not_refused(runs: WatchedRuns, tmp_path: Path) -> None:
    """Else every trick would fail for another reason than its own."""
    with serve_trick(Trick("none", "never", lambda victim: None)) as archive:
        run = runs.run("archive", ["fetch", "--url", archive.url, "--accession", ACCESSION, "-o", tmp_path])
    assert (run.code, run.stderr) == (0, "")
    assert len(list(tmp_path.iterdir())) == 4
