from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="the tutorial's notebook needs nbformat, nbclient and nbconvert")
pytest.importorskip("nbclient")
pytest.importorskip("nbconvert")
pytest.importorskip("matplotlib")
pytest.importorskip("skimage")

pytestmark = pytest.mark.fresh  # needs the checkout, not the wheel


@pytest.fixture(scope="module")
def executed(repository: Path, chest_cr: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook with its results, on the zip as it is now."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, str(repository / "scripts" / "build_bundle.py"), "-o", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    from render_tutorial import execute

    return execute(next(folder.glob("*.zip")))


def texts(notebook: Any) -> str:
    """Return what the cells print."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return "".join(output.get("text", "") for output in outputs if output.get("name") == "stdout")


def numbers(pattern: str, text: str) -> list[float]:
    found = re.search(pattern, text)
    assert found, f"{pattern} is not in\n{text}"
    return [float(number) for number in found.groups()]


def test_the_notebook_shows_what_it_says(executed: Any) -> None:
    printed = texts(executed)
    before, covered = numbers(r"landmarks in the square: ([\d.]+), ([\d.]+)", printed)
    before_elsewhere, covered_elsewhere = numbers(r"landmarks elsewhere: ([\d.]+), ([\d.]+)", printed)
    assert covered > 2 * before
    assert covered_elsewhere < 1.5 * before_elsewhere
    assert numbers(r"PNG and the DICOM radiograph: ([\d.]+) px apart", printed)[0] < 2
    after_training = printed[printed.index("mean distance from the correction") :]
    untrained, trained = numbers(r"Heart: ([\d.]+) px, ([\d.]+) px", after_training)
    assert trained < untrained / 2
    assert "verdict with the new weights: review ['not_calibrated']" in printed
    images = sum("image/png" in output.get("data", {}) for cell in executed.cells for output in cell.get("outputs", []))
    assert images == 3


def test_the_page_is_made_of_the_notebook_as_it_is(repository: Path) -> None:
    page = (repository / "docs" / "tutorial.md").read_text(encoding="utf-8")
    notebook = nbformat.read(repository / "docs" / "tutorial.ipynb", as_version=4)
    rest = page
    for cell in notebook.cells:
        source = "\n".join(line.rstrip() for line in cell.source.strip().splitlines())
        assert source in rest, f"run scripts/render_tutorial.py: the page lacks\n{source}"
        rest = rest.replace(source, "", 1)
        assert not cell.get("outputs"), "the notebook is kept without results"
    made = ("    ", "```", "![Figure", "<!--")  # results, fences, images, the note
    assert [line for line in rest.splitlines() if line.strip() and not line.startswith(made)] == []
    for image in re.findall(r"\((images/[^)]+)\)", page):
        assert (repository / "docs" / image).stat().st_size < 150_000
    assert "/home/" not in page
    assert "/tmp/" not in page
    assert "site-packages" not in page
