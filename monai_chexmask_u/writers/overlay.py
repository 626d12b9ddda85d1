"""The overlay image: contours, and nodes colored by their uncertainty, on the radiograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.writers.own_files import png_mark
from monai_chexmask_u.writers.summary_text import ratio_words

__all__ = ["color_bar_end", "draw_over_radiograph", "draw_overlay", "round_up", "uncertainty_color", "write_overlay"]

IMAGE_SIDE = 1200
OVERSAMPLING = 2
# ColorBrewer's RdYlBu, which color-blind people can read: blue is sure, red is unsure.
_COLORS = np.array([(69, 117, 180), (145, 191, 219), (224, 243, 248), (254, 224, 144), (252, 141, 89), (215, 48, 39)])


def uncertainty_color(fraction: float) -> tuple[int, int, int]:
    """Return the color of an uncertainty, as a fraction 0..1 of the color bar."""
    position = float(np.clip(fraction, 0, 1)) * (len(_COLORS) - 1)
    red, green, blue = (round(float(np.interp(position, range(len(_COLORS)), _COLORS[:, band]))) for band in range(3))
    return red, green, blue


def write_overlay(segmentation: LandmarkSegmentation, radiograph: Radiograph, path: Path) -> None:
    """Write the overlay image as PNG."""
    image = draw_overlay(segmentation, radiograph)
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", pnginfo=png_mark())


def draw_overlay(segmentation: LandmarkSegmentation, radiograph: Radiograph) -> Image.Image:
    """Draw contours, nodes, color bar and verdict; the radiograph is shown as it was stored.

    The color is that of the total uncertainty, or of the samples' without a calibration.

    Returns:
        An RGB image whose longer side is about 1200 pixels, plus a caption below.
    """
    drawn = draw_over_radiograph(segmentation, radiograph)
    caption = _caption(segmentation, radiograph, drawn.width)
    page = Image.new("RGB", (drawn.width, drawn.height + caption.height))
    page.paste(drawn, (0, 0))
    page.paste(caption, (0, drawn.height))
    return page


def draw_over_radiograph(segmentation: LandmarkSegmentation, radiograph: Radiograph) -> Image.Image:
    """Draw contours and nodes on the radiograph, without the caption that explains them.

    Returns:
        An RGB image whose longer side is about 1200 pixels.
    """
    scale = IMAGE_SIDE / max(radiograph.shape)
    height, width = (max(1, round(side * scale)) for side in radiograph.shape)
    grey = Image.fromarray((radiograph.pixels * 255).round().astype(np.uint8))
    image = grey.resize((width * OVERSAMPLING, height * OVERSAMPLING), Image.Resampling.BILINEAR).convert("RGB")
    points = (segmentation.landmarks + 0.5) * scale * OVERSAMPLING
    fractions = _shown_uncertainty(segmentation) / color_bar_end(segmentation)
    _draw_landmarks(ImageDraw.Draw(image), points, fractions)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def color_bar_end(segmentation: LandmarkSegmentation) -> float:
    """Return the node uncertainty at the end of the color bar, in pixels of the image."""
    return round_up(float(_shown_uncertainty(segmentation).max()))


def _shown_uncertainty(segmentation: LandmarkSegmentation) -> NDArray[np.float64]:
    """Return the total uncertainty of each node, or that of the samples where there is no calibration."""
    total = segmentation.total_uncertainty
    return segmentation.node_uncertainty if total is None else total


def _draw_landmarks(draw: ImageDraw.ImageDraw, points: NDArray[np.float64], fractions: NDArray[np.float64]) -> None:
    """Draw every organ's closed contour, and a dot per node in the color of its uncertainty."""
    for organ in ORGANS:
        contour = points[organ.nodes]
        draw.line([*map(tuple, contour), tuple(contour[0])], fill=organ.color, width=2 * OVERSAMPLING)
    radius = 4 * OVERSAMPLING
    for (x, y), fraction in zip(points, fractions, strict=True):
        box = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(box, fill=uncertainty_color(fraction), outline=(0, 0, 0), width=OVERSAMPLING)


def _caption(segmentation: LandmarkSegmentation, radiograph: Radiograph, width: int) -> Image.Image:
    """Draw the color bar and what the result says, in lines that fit the width."""
    font = ImageFont.load_default(size=18)
    lines = _wrap(_sentences(segmentation, radiograph), font, width - 24)
    caption = Image.new("RGB", (width, 58 + 24 * len(lines)), (16, 16, 16))
    draw = ImageDraw.Draw(caption)
    bar_width = min(300, width // 3)
    for x in range(bar_width):
        draw.line([(12 + x, 14), (12 + x, 32)], fill=uncertainty_color(x / bar_width))
    kind = "node" if segmentation.total_uncertainty is None else "total node"
    words = f"{kind} uncertainty 0 to {color_bar_end(segmentation):g} px of this image"
    draw.text((bar_width + 24, 13), words, font=font, fill="white")
    x = 12
    for organ in ORGANS:
        draw.line([(x, 47), (x + 24, 47)], fill=organ.color, width=4)
        draw.text((x + 30, 37), organ.title, font=font, fill="white")
        x += 50 + round(font.getlength(organ.title))
    for row, line in enumerate(lines):
        draw.text((12, 60 + 24 * row), line, font=font, fill="white")
    return caption


def _sentences(segmentation: LandmarkSegmentation, radiograph: Radiograph) -> list[str]:
    reliability, model = segmentation.reliability, segmentation.model
    reasons = "; ".join(map(reliability.in_words, reliability.reasons))
    sentences = [
        f"Verdict: {reliability.verdict}{f' ({reasons})' if reasons else ''}.",
        f"Cardiothoracic ratio {ratio_words(segmentation)}.",
        f"Predictive uncertainty {segmentation.predictive_px1024:.1f} px at 1024, "
        f"latent {segmentation.latent_uncertainty:.2f}, {segmentation.sample_count} samples.",
        f"Model {model.name} {model.version}, {model.sha256[:12]}.",
    ]
    if segmentation.total_px1024 is not None:
        sentences.insert(2, f"Total uncertainty {segmentation.total_px1024:.1f} px at 1024.")
    if radiograph.notes:
        sentences.append(f"Notes: {', '.join(radiograph.notes)}.")
    return [*sentences, "For research use only, not for diagnosis."]


def _wrap(sentences: list[str], font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> list[str]:
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
