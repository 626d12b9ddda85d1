"""Execute the tutorial's notebook and write it down with its results: ``docs/tutorial.md`` and its images.

    make bundle && python scripts/render_tutorial.py

needs nbclient, nbconvert and ipykernel.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter
from PIL import Image

from monai_chexmask_u.files.atomic import atomic_path

__all__ = ["NOTEBOOK", "as_markdown", "execute"]

REPOSITORY: Final = Path(__file__).resolve().parents[1]
NOTEBOOK: Final = REPOSITORY / "docs" / "tutorial.ipynb"

PATIENCE_S: Final = 600
NOTE: Final = "<!-- Made by scripts/render_tutorial.py from tutorial.ipynb; change that one. -->\n\n"


def execute(bundle_zip: Path) -> Any:
    """Run the notebook in a process of its own, in the repository's folder; what it writes is gone afterwards.

    Args:
        bundle_zip: the bundle.

    Returns:
        The notebook with its results.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=PATIENCE_S, resources={"metadata": {"path": str(REPOSITORY)}})
    with tempfile.TemporaryDirectory() as scratch:
        own = {"BUNDLE_ZIP": str(bundle_zip), "OMP_NUM_THREADS": "1", "TMPDIR": scratch}
        return client.execute(env={**os.environ, **own})


def as_markdown(notebook: Any) -> tuple[str, dict[str, bytes]]:
    """Return the notebook as Markdown, without warnings of libraries, and its images by their names."""
    for cell in notebook.cells:
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    text, resources = MarkdownExporter().from_notebook_node(notebook)
    images = {}
    for number, (name, content) in enumerate(sorted(resources["outputs"].items()), 1):
        images[f"tutorial_{number}.jpg"] = _as_jpeg(content)
        text = text.replace(f"![png]({name})", f"![Figure {number}](images/tutorial_{number}.jpg)")
    lines = [line.rstrip() for line in text.strip().splitlines()]
    return NOTE + "\n".join(lines) + "\n", images


def _as_jpeg(png: bytes) -> bytes:
    """Return an image of a radiograph a quarter as large."""
    stream = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").save(stream, "JPEG", quality=85)
    return stream.getvalue()


def main() -> int:
    """Write the page and its images."""
    zips = list((REPOSITORY / "dist").glob("chest_xray_landmark_uncertainty_v*.zip"))
    if not zips:
        print("render_tutorial: there is no bundle in dist/; make it with make bundle", file=sys.stderr)
        return 1
    text, images = as_markdown(execute(max(zips, key=lambda path: path.stat().st_mtime)))
    for name, content in images.items():
        with atomic_path(NOTEBOOK.parent / "images" / name) as path:
            path.write_bytes(content)
    with atomic_path(NOTEBOOK.with_suffix(".md")) as path:
        path.write_text(text, encoding="utf-8")
    print(f"docs/tutorial.md, and {len(images)} images in docs/images")
    return 0


if __name__ == "__main__":
    sys.exit(main())
