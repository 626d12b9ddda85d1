"""The web page in a real browser: a server of its own, and Debian's Chromium driven by Playwright."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = [
    "CHROMIUM",
    "chromium",
    "forked_pages",
    "hide",
    "number_of",
    "open_page",
    "page_server",
    "press",
    "upload",
    "wait_for_run",
    "wait_until",
]

CHROMIUM = shutil.which("chromium")
# Without them Chromium asks for addresses of its maker at every start.
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# Imports once what takes a page seconds, and then starts a page for each folder that it reads the name of.
FORKING = """
import os, signal, sys, tempfile
import monai_chexmask_u.demo.page, monai_chexmask_u.demo.server, monai_chexmask_u.model
from monai_chexmask_u.cli import app
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system forgets a page that has ended
print("ready", flush=True)
children = []
while folder := sys.stdin.readline().strip():
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(f"{folder}/server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1), os.dup2(log, 2)
        os.environ["TMPDIR"], tempfile.tempdir = folder, None
        app(["demo", "--port", "0"])
        os._exit(0)
    children.append(child)
    print(child, flush=True)
for child in children:
    try:
        os.kill(child, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""
SECOND = 1000
PATIENCE = 60 * SECOND


@contextmanager
def page_server(
    temporary: Path, *arguments: str, prefix: Sequence[str] = ()
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `chexmask-u demo` on a free port; yield its address and process, and end it as Ctrl-C does.

    Args:
        temporary: its folder for temporary files, where its log lies as well.
        arguments: of the command.
        prefix: a command that runs the command, such as one that changes the user.
    """
    command = [*prefix, sys.executable, "-m", "monai_chexmask_u", "demo", "--port", "0", *arguments]
    environment = os.environ | {"TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    log = temporary / "server.log"
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.match(r"http://\S+:\d+/(\?token=\S+)?", line)
        assert found, line + log.read_text(encoding="utf-8")
        yield found[0], process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def forked_pages(temporary: Path) -> Iterator[Callable[[Path], int]]:
    """Yield what starts a page quickly, with a folder for its temporary files and log, and returns its process.

    Args:
        temporary: for the temporary files of what is imported before.
    """
    environment = os.environ | {"TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", FORKING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout
        assert stdout.readline() == "ready\n"

        def start(folder: Path) -> int:
            stdin.write(f"{folder}\n")
            stdin.flush()
            return int(stdout.readline())

        yield start
        stdin.close()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium; every start has a new folder for its user's data."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(browser: Browser, address: str, *, width: int = 1280, height: int = 900) -> Iterator[Page]:
    """Open the page as a user of its own; it fails if the page asks for anything elsewhere or has errors."""
    context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
    page = context.new_page()
    faults: list[str] = []
    page.on("request", lambda request: faults.append(request.url) if _is_elsewhere(request.url, address) else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    try:
        page.goto(address)
        page.wait_for_selector("#segment", timeout=PATIENCE)
        yield page
        assert faults == []
    finally:
        context.close()


def upload(page: Page, path: Path) -> None:
    """Upload a radiograph and wait until its results can be downloaded."""
    page.set_input_files("#upload input[type=file]", path)
    page.wait_for_selector("#downloads a", timeout=PATIENCE)


def press(page: Page) -> None:
    """Press Segment, and wait until the new results can be downloaded."""
    old = page.get_attribute("#downloads nav", "data-run")
    page.click("#segment")
    wait_for_run(page, old)


def wait_for_run(page: Page, old: str | None) -> None:
    """Wait for results to download that are newer than a run."""
    page.wait_for_function(
        "old => { const links = document.querySelector('#downloads nav'); return links && links.dataset.run !== old; }",
        arg=old,
        timeout=PATIENCE,
    )


def hide(page: Page, left: float, top: float, right: float, bottom: float) -> None:
    """Draw over a part of the radiograph with the mouse; the sides are shares of the radiograph's."""
    canvas = page.locator("#drawing canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    rows = 12
    for row in range(rows):
        y = box["y"] + box["height"] * (top + (bottom - top) * row / (rows - 1))
        page.mouse.move(box["x"] + box["width"] * left, y)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * right, y, steps=4)
        page.mouse.up()


def number_of(page: Page, organ: str) -> tuple[float, float]:
    """Return the mean 90 % radius of an organ before and after the alteration, as the page says it."""
    row = page.locator("#change tr", has_text=organ)
    found = re.match(r"([\d.]+) → ([\d.]+) px", row.locator("td").nth(1).inner_text())
    assert found
    return float(found[1]), float(found[2])


def wait_until(condition: str, check: object, seconds: float = 30) -> None:
    """Wait until a function says yes."""
    assert callable(check)
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, condition
        time.sleep(0.2)


def _is_elsewhere(url: str, address: str) -> bool:
    return not url.startswith((address, "data:", "blob:"))
