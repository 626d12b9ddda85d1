"""Measure the web page: from the click on Segment to the image in the browser, and what the server needs of it.

Run it as ``python -m benchmarks.web_demo RADIOGRAPH``; it needs Chromium, and nothing else should run beside it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.servers.web_page import chromium, open_page, page_server, upload

from monai_chexmask_u.demo import figure, results
from monai_chexmask_u.demo.alterations import Alteration
from monai_chexmask_u.demo.sessions import Session
from monai_chexmask_u.model import load_model

# The image is fetched once more before the clock stops, so that its loading is counted.
_CLICK = """() => new Promise(done => {
  const image = () => document.querySelector('#figures figure:last-child image')?.getAttribute('href');
  const old = image(), start = performance.now();
  document.querySelector('#segment').click();
  const finish = () => requestAnimationFrame(() => done((performance.now() - start) / 1000));
  const look = () => image() !== old ? fetch(image()).then(answer => answer.blob()).then(finish)
                                       : requestAnimationFrame(look);
  look();
})"""


def main() -> None:
    """Print the median and the longest of several clicks, each at another severity of noise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("radiograph", type=Path, help="a radiograph that the project reads")
    parser.add_argument("--clicks", type=int, default=12)
    arguments = parser.parse_args()
    levels = [10 + 180 * step / (arguments.clicks - 1) for step in range(arguments.clicks)]
    _print("click to image, in the browser", _in_browser(arguments.radiograph, levels))
    _print("of it the server: alter, segment twice at first, draw", _in_process(arguments.radiograph, levels))


def _in_browser(radiograph: Path, levels: list[float]) -> list[float]:
    seconds = []
    with (
        tempfile.TemporaryDirectory() as temporary,
        page_server(Path(temporary)) as (address, _),
        chromium() as browser,
        open_page(browser, address) as page,
    ):
        upload(page, radiograph)
        for level in levels:
            page.fill("#noise input[type=number]", str(round(level)))
            page.keyboard.press("Tab")
            page.wait_for_timeout(500)
            seconds.append(float(page.evaluate(_CLICK)))
    return seconds


def _in_process(radiograph: Path, levels: list[float]) -> list[float]:
    model = load_model()
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        session = Session(Path(folder))
        results.open_radiograph(session, radiograph)
        for level in levels:
            start = time.perf_counter()
            results.segment(session, model, Alteration(noise=level), samples=50)
            shown = [one for one in (session.before, session.after) if one is not None]
            for one in shown:
                figure.draw_figure(one, "radiograph", "radius", 1.0, images="images")
            seconds.append(time.perf_counter() - start)
    return seconds


def _print(what: str, seconds: list[float]) -> None:
    print(f"{what}: median {median(seconds):.2f} s, longest {max(seconds):.2f} s, of {len(seconds)}", flush=True)


if __name__ == "__main__":
    main()
