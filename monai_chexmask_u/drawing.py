"""Landmarks drawn on the image that they belong to: contours, nodes colored by their uncertainty, and a caption."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from monai_chexmask_u.anatomy import ORGANS

__all__ = ["add_caption", "color_bar_end", "draw_landmarks", "round_up", "uncertainty_color"]

IMAGE_SIDE = 1200
OVERSAMPLING = 2
# ColorBrewer's RdYlBu, which color-blind people can read: blue is sure, red is unsure.
_COLORS = np.array([(69, 117, 180), (145, 191, 219), (224, 243, 248), (254, 224, 144), (252, 141, 89), (215, 48, 39)])


def uncertainty_color(fraction: float) -> tuple[int, int, int]:
    """Return the color of an uncertainty, as a fraction 0..1 of the color bar."""
    position = float(np.clip(fraction, 0, 1)) * (len(_COLORS) - 1)
    red, green, blue = (round(float(np.interp(position, range(len(_COLORS)), _COLORS[:, band]))) for band in range(3))
    return red, green, blue


def draw_landmarks(
    pixels: NDArray[np.float32], landmarks: NDArray[np.float64], uncertainty: NDArray[np.float64]
) -> Image.Image:
    """Draw contours and nodes on an image, which is shown as it was stored.

    Args:
        pixels: ``(row, column)`` in 0..1.
        landmarks: ``(120, 2)``, (x, y) in pixels.
        uncertainty: ``(120,)``, what the nodes are colored by, in any unit.

    Returns:
        An RGB image whose longer side is about 1200 pixels.
    """
    scale = IMAGE_SIDE / max(pixels.shape)
    height, width = (max(1, round(side * scale)) for side in pixels.shape)
    gray = Image.fromarray((pixels * 255).round().astype(np.uint8))
    image = gray.resize((width * OVERSAMPLING, height * OVERSAMPLING), Image.Resampling.BILINEAR).convert("RGB")
    points = (landmarks + 0.5) * scale * OVERSAMPLING
    _draw_contours(ImageDraw.Draw(image), points, uncertainty / color_bar_end(uncertainty))
    return image.resize((width, height), Image.Resampling.LANCZOS)


def color_bar_end(uncertainty: NDArray[np.float64]) -> float:
    """Return the uncertainty at the end of the color bar of these nodes."""
    return round_up(float(uncertainty.max()))


def _draw_contours(draw: ImageDraw.ImageDraw, points: NDArray[np.float64], fractions: NDArray[np.float64]) -> None:
    """Draw every organ's closed contour, and a dot per node in the color of its uncertainty."""
    for organ in ORGANS:
        contour = points[organ.nodes]
        draw.line([*map(tuple, contour), tuple(contour[0])], fill=organ.color, width=2 * OVERSAMPLING)
    radius = 4 * OVERSAMPLING
    for (x, y), fraction in zip(points, fractions, strict=True):
        box = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(box, fill=uncertainty_color(fraction), outline=(0, 0, 0), width=OVERSAMPLING)


def add_caption(
    image: Image.Image, uncertainty: NDArray[np.float64], measure: str, sentences: Sequence[str]
) -> Image.Image:
    """Add a color bar, a legend of the organs and sentences below an image of `draw_landmarks`.

    Args:
        image: what is explained.
        uncertainty: as it was given there, in pixels of the radiograph.
        measure: which uncertainty it is.
        sentences: they are broken into lines that fit the image's width.
    """
    caption = _caption(image.width, f"{measure} 0 to {color_bar_end(uncertainty):g} px of this image", sentences)
    page = Image.new("RGB", (image.width, image.height + caption.height))
    page.paste(image, (0, 0))
    page.paste(caption, (0, image.height))
    return page


def _caption(width: int, words: str, sentences: Sequence[str]) -> Image.Image:
    font = ImageFont.load_default(size=18)
    lines = _wrap(sentences, font, width - 24)
    caption = Image.new("RGB", (width, 58 + 24 * len(lines)), (16, 16, 16))
    draw = ImageDraw.Draw(caption)
    bar_width = min(300, width // 3)
    for x in range(bar_width):
        draw.line([(12 + x, 14), (12 + x, 32)], fill=uncertainty_color(x / bar_width))
    draw.text((bar_width + 24, 13), words, font=font, fill="white")
    x = 12
    for organ in ORGANS:
        draw.line([(x, 47), (x + 24, 47)], fill=organ.color, width=4)
        draw.text((x + 30, 37), organ.title, font=font, fill="white")
        x += 50 + round(font.getlength(organ.title))
    for row, line in enumerate(lines):
        draw.text((12, 60 + 24 * row), line, font=font, fill="white")
    return caption


def _wrap(sentences: Sequence[str], font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> list[str]:
    lines = [""]
    for word in " ".join(sentences).split():
        if font.getlength(f"{lines[-1]} {word}") > width and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def round_up(value: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten, so that a color bar ends at a plain number."""
    if value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 2, 5, 10) if value <= step * power))
