"""Measure what the page's server keeps of uploads that nobody opens, and of users who come and go.

Run it as ``python -m benchmarks.web_page_endurance``; it takes some minutes. Each user uploads the drawn chest,
segments it twice and downloads a result; one of three closes the page, the others are programs that just stop.
Printed are the server's memory and the files of its folder. It ends with code 1 if either has grown.
"""

from __future__ import annotations

import argparse
import io
import os
import socket
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.servers.hostile_web_client import PageClient, request
from support.servers.web_page import page_server

from monai_chexmask_u.demo.examples import draw_phantom
from monai_chexmask_u.demo.uploads import UNOPENED_SECONDS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--uploads", type=int, default=200)
    parser.add_argument("--segmentations", type=int, default=300)
    options = parser.parse_args()
    buffer = io.BytesIO()
    draw_phantom().save(buffer, "PNG")
    radiograph = buffer.getvalue()
    with tempfile.TemporaryDirectory() as name, page_server(Path(name)) as (address, process):
        folder = Path(name)
        before = _files(folder)
        print("what | files | MB on disk | MB of memory")
        _print("at the start", folder, process.pid)
        for number in range(options.uploads):
            assert PageClient(address, f"upload{number}").upload(radiograph).status == 200
        _print(f"after {options.uploads} uploads", folder, process.pid)
        begin, memory = time.monotonic(), {}
        for number in range(0, options.segmentations, 2):
            _visit(address, number, radiograph)
            if number + 2 in (50, options.segmentations) or number % 50 == 48:
                memory[number + 2] = _print(f"after {number + 2} segmentations", folder, process.pid)
        if options.uploads:
            time.sleep(max(0.0, UNOPENED_SECONDS + 15 - (time.monotonic() - begin)))
        _print("when the uploads have expired", folder, process.pid)
        left = {path.name for path in _files(folder)} - {path.name for path in before}
        growth = memory[options.segmentations] / memory[50] - 1
    print(f"files left: {sorted(left)}; memory {growth:+.1%} after the first 50")
    sys.exit(1 if left or growth > 0.1 else 0)


def _visit(address: str, number: int, radiograph: bytes) -> None:
    """Be a user."""
    client = PageClient(address, f"visitor{number}")
    assert client.open(radiograph)["success"]
    for noise in (0, 30):
        output = client.segment(noise=noise, samples=20)
        assert output["success"]
    link = next(part for part in str(output["data"]).split('"') if part.startswith("results/"))
    assert request(address, "GET", f"/{link}").status == 200
    if number % 6 == 0:
        _close(client)


def _close(client: PageClient) -> None:
    """Open and end the stream by which the server knows that a page is open."""
    parts = urlsplit(client.address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as stream:
        head = f"GET /gradio_api/heartbeat/{client.session} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n"
        stream.sendall(head.encode())
        stream.recv(1000)


def _files(folder: Path) -> list[Path]:
    return [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]  # the server may delete some


def _print(what: str, folder: Path, process: int) -> float:
    """Print what the server has now, and return its memory in MB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    memory = int(status.split("VmRSS:")[1].split()[0]) / 1024
    files = _files(folder)
    size = sum(path.stat().st_size for path in files if path.exists()) / 1024**2
    print(f"{what} | {len(files)} | {size:.1f} | {memory:.0f}", flush=True)
    return memory


if __name__ == "__main__":
    main()
