"""Draw a radiograph as the module for 3D Slicer shows it: landmarks colored by their uncertainty.

It needs 3D Slicer's code from the package index, ``pip install 'monai-chexmask-u[slicer]'``, and EGL.

    chexmask-u segment radiograph.dcm -o out --write json,mrk
    python scripts/slicer_module_view.py radiograph.dcm out/radiograph.mrk.json out/radiograph.json radiograph.jpg
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from slicer_view import SlicerView

__all__ = ["main"]

MODULE = Path(__file__).resolve().parents[1] / "label" / "slicer" / "ChestLandmarks"


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw one image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("radiograph", type=Path)
    parser.add_argument("markups", type=Path)
    parser.add_argument("record", type=Path)
    parser.add_argument("image", type=Path, help="PNG or JPEG to write")
    parser.add_argument("--side", type=int, default=640, help="of the image, in pixels")
    options = parser.parse_args(arguments)
    sys.path.append(str(MODULE))
    from ChestLandmarksLib.logic import ChestLandmarksLogic
    from ChestLandmarksLib.server import InferResult

    image = SlicerView(900)
    volume = image.load_radiograph(options.radiograph)
    logic = ChestLandmarksLogic(image.scene)
    logic.assign(volume, options.radiograph.stem)
    record = json.loads(options.record.read_text(encoding="utf-8"))
    logic.add_result(InferResult(options.markups.read_bytes(), ".mrk.json", record), volume)
    if logic.colors is not None:
        low, high = logic.colors.span
        print(f"{logic.colors.measurement}: blue {low:.1f}, red {high:.1f} px of the stored image")
    drawn = Image.fromarray(image.pixels()).resize((options.side, options.side), Image.Resampling.LANCZOS)
    drawn.save(options.image, quality=80)


if __name__ == "__main__":
    main()
