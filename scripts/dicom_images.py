"""Make the images of docs/dicom.md: `PYTHONPATH=tests python scripts/dicom_images.py docs/images`.

The radiograph is synthetic; the objects are read back from the files that the library wrote for it. The page of the PDF
needs pdftoppm (poppler-utils).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from highdicom.color import CIELabColor
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from support.samples.dicom import make_dx, save

from monai_chexmask_u.batch import segment_files
from monai_chexmask_u.model import load_model
from monai_chexmask_u.segmenter import Segmenter

WIDTH = 560
ELLIPSE_POINTS = 64


def main() -> None:
    """Write the images to a folder."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        radiograph = save(make_dx(rows=1000, columns=820), folder / "radiograph.dcm")
        (outcome,) = segment_files(Segmenter(load_model()), [radiograph], folder, ["pr", "sc", "pdf"])
        if outcome.code:
            sys.exit(outcome.message)
        keep(presented(radiograph, folder / "radiograph.pr.dcm"), target / "presentation_state.jpg")
        capture = pydicom.dcmread(folder / "radiograph.sc.dcm").pixel_array
        keep(Image.fromarray(capture), target / "secondary_capture.jpg")
        keep(page(folder / "radiograph.pdf.dcm", folder), target / "encapsulated_pdf.jpg")


def keep(image: Image.Image, path: Path) -> None:
    """Write an image small enough for a document."""
    height = round(image.height * WIDTH / image.width)
    image.resize((WIDTH, height), Image.Resampling.LANCZOS).convert("RGB").save(path, quality=85)


def presented(radiograph: Path, state: Path) -> Image.Image:
    """Draw what a presentation state holds on its image, as a viewer would."""
    pixels = pydicom.dcmread(radiograph).pixel_array
    gray = (255 * (pixels / pixels.max())).astype(np.uint8)
    dataset = pydicom.dcmread(state)
    image = Image.fromarray(255 - gray if dataset.PresentationLUTShape == "INVERSE" else gray).convert("RGB")
    draw = ImageDraw.Draw(image)
    colors = {layer.GraphicLayer: color_of(layer) for layer in dataset.GraphicLayerSequence}
    widths = {layer: 1 if layer == "UNCERTAINTY" else 3 for layer in colors}
    for annotation in dataset.GraphicAnnotationSequence:
        color = colors[annotation.GraphicLayer]
        for graphic in annotation.get("GraphicObjectSequence", []):
            draw.line([tuple(point) for point in outline(graphic)], fill=color, width=widths[annotation.GraphicLayer])
        for text in annotation.get("TextObjectSequence", []):
            draw_text(draw, text, color, image.size)
    return image


def color_of(layer: Dataset) -> tuple[int, int, int]:
    """Return the color that a layer recommends."""
    red, green, blue = CIELabColor.from_dicom_value(layer.GraphicLayerRecommendedDisplayCIELabValue).to_rgb()
    return red, green, blue


def outline(graphic: Dataset) -> Any:
    """Return the points of a line or of an ellipse, (0, 0) at the center of the top-left pixel."""
    points = np.array(graphic.GraphicData).reshape(-1, 2) - 0.5
    if graphic.GraphicType != "ELLIPSE":
        return points
    first, last, left, right = points
    turn = np.linspace(0, 2 * np.pi, ELLIPSE_POINTS)[:, None]
    return (first + last) / 2 + np.cos(turn) * (last - first) / 2 + np.sin(turn) * (right - left) / 2


def draw_text(draw: ImageDraw.ImageDraw, text: Dataset, color: tuple[int, int, int], size: tuple[int, int]) -> None:
    """Draw a text at its anchor in pixels, or in its box in parts of the display."""
    font = ImageFont.load_default(size=24)
    if "AnchorPoint" in text:
        draw.text(tuple(text.AnchorPoint), text.UnformattedTextValue, font=font, fill=color, anchor="mm")
    else:
        left, top = (float(part) * side for part, side in zip(text.BoundingBoxTopLeftHandCorner, size, strict=True))
        draw.text((left, top), text.UnformattedTextValue, font=font, fill=color)


def page(document: Path, folder: Path) -> Image.Image:
    """Render the page of an Encapsulated PDF."""
    dataset = pydicom.dcmread(document)
    (folder / "page.pdf").write_bytes(dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength])
    subprocess.run(["pdftoppm", "-png", "-singlefile", folder / "page.pdf", folder / "page"], check=True)
    return Image.open(folder / "page.png")


if __name__ == "__main__":
    main()
