"""The image on the summary page, and the legend of its colors."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final

from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib.colors import Color
from reportlab.platypus import Image

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.writers.overlay import color_bar_end, draw_over_radiograph, uncertainty_color
from monai_chexmask_u.writers.page_style import INK, REGULAR

__all__ = ["LEGEND_HEIGHT", "legend", "radiograph_image"]

LEGEND_HEIGHT: Final = 36

# Hardly to be told from the original at 260 dots per inch, at a third of a PNG's size.
_JPEG_QUALITY: Final = 92
_BAR_WIDTH, _BAR_STEPS, _SIZE = 90, 45, 7.5


def radiograph_image(segmentation: LandmarkSegmentation, radiograph: Radiograph, width: float, height: float) -> Any:
    """Return the radiograph with contours and nodes, as large as fits into so many points."""
    image = draw_over_radiograph(segmentation, radiograph)
    scale = min(width / image.width, height / image.height)
    content = BytesIO()
    image.save(content, "JPEG", quality=_JPEG_QUALITY, subsampling=0, optimize=True)
    return Image(content, scale * image.width, scale * image.height, hAlign="LEFT")


def legend(segmentation: LandmarkSegmentation) -> Any:
    """Return the color bar of the nodes' uncertainty and the lines of the organs' contours."""
    drawing = Drawing(3 * _BAR_WIDTH, LEGEND_HEIGHT, hAlign="LEFT", initialFontName=REGULAR)
    step = _BAR_WIDTH / _BAR_STEPS
    for number in range(_BAR_STEPS):
        color = _color(uncertainty_color(number / (_BAR_STEPS - 1)))
        # A little wider than its step: viewers show a seam between shapes that only touch.
        drawing.add(Rect(number * step, 20, 1.3 * step, 9, fillColor=color, strokeColor=None))
    kind = "Node" if segmentation.total_uncertainty is None else "Total node"
    words = f"{kind} uncertainty 0 to {color_bar_end(segmentation):g} px of this image"
    drawing.add(_words(_BAR_WIDTH + 8, 22, words))
    for number, organ in enumerate(ORGANS):
        left = number * _BAR_WIDTH
        drawing.add(Line(left, 9, left + 18, 9, strokeColor=_color(organ.color), strokeWidth=2.5))
        drawing.add(_words(left + 23, 6.5, organ.title))
    return drawing


def _words(x: float, y: float, words: str) -> Any:
    return String(x, y, words, fontName=REGULAR, fontSize=_SIZE, fillColor=INK)


def _color(rgb: tuple[int, int, int]) -> Any:
    return Color(*(band / 255 for band in rgb))
