"""Draw a radiograph as the module for 3D Slicer shows it: landmarks colored by their uncertainty.

It needs 3D Slicer's code from the package index, ``pip install 'monai-chexmask-u[slicer]'``, and EGL.

    chexmask-u segment film.dcm -o out --write json,mrk
    python scripts/slicer_module_picture.py film.dcm out/film.mrk.json out/film.json film.jpg
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from slicer_picture import SlicerPicture

__all__ = ["main"]

MODULE = Path(__file__).resolve().parents[1] / "label" / "slicer" / "ChestLandmarks"


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw one picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path)
    parser.add_argument("markups", type=Path)
    parser.add_argument("record", type=Path)
    parser.add_argument("picture", type=Path, help="PNG or JPEG to write")
    parser.add_argument("--side", type=int, default=640, help="of the picture, in pixels")
    options = parser.parse_args(arguments)
    sys.path.append(str(MODULE))
    from ChestLandmarksLib.logic import ChestLandmarksLogic
    from ChestLandmarksLib.server import InferResult

    picture = SlicerPicture(900)
    volume = picture.load_film(options.film)
    logic = ChestLandmarksLogic(picture.scene)
    logic.assign(volume, options.film.stem)
    record = json.loads(options.record.read_text(encoding="utf-8"))
    logic.add_result(InferResult(options.markups.read_bytes(), ".mrk.json", record), volume)
    if logic.colors is not None:
        low, high = logic.colors.span
        print(f"{logic.colors.measurement}: blue {low:.1f}, red {high:.1f} px of the stored image")
    drawn = Image.fromarray(picture.pixels()).resize((options.side, options.side), Image.Resampling.LANCZOS)
    drawn.save(options.picture, quality=80)


if __name__ == "__main__":
    main()
