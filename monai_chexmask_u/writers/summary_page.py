"""The summary page: one A4 page that shows a result, says how far to trust it, and what made it."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final

from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Image

from monai_chexmask_u import __version__
from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.drawing import color_bar_end, draw_landmarks, uncertainty_color
from monai_chexmask_u.radiograph import Radiograph, note_in_words
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.writers.page_style import (
    BOLD,
    FAINT,
    INK,
    LINES,
    PALE,
    REGULAR,
    WHITE,
    bullets,
    height_of,
    pairs,
    paragraph,
    register_fonts,
    table,
)
from monai_chexmask_u.writers.summary_text import (
    EXPLANATIONS,
    ORGAN_COLUMNS,
    VERDICT_SENTENCES,
    identity_rows,
    measure_rows,
    organ_rows,
)

__all__ = ["PURPOSE", "TITLE", "summary_page"]

TITLE: Final = "Lungs and heart with uncertainty"
PURPOSE: Final = "For research use only. Not for diagnosis."

_SOFTWARE: Final = f"monai-chexmask-u {__version__}"
_WARNING_COLOR: Final = HexColor("#fde68a")
_VERDICT_COLORS: Final = {"accept": HexColor("#00695c"), "review": HexColor("#b45309"), "reject": HexColor("#b3261e")}
_SIDES: Final = ("LEFT", "RIGHT", "TOP", "BOTTOM")
_NO_PADDING: Final = [(f"{side}PADDING", (0, 0), (-1, -1), 0) for side in _SIDES]
_MARGIN: Final = 36
_GAP, _LARGEST_GAP = 9, 18
_RADIOGRAPH_SHARE: Final = 0.65
_LEAST_RADIOGRAPH_HEIGHT: Final = 190
_LEGEND_HEIGHT: Final = 36
# Hardly to be told from the original at 260 dots per inch, at a third of a PNG's size.
_JPEG_QUALITY: Final = 92
_BAR_WIDTH, _BAR_STEPS, _WORDS_SIZE = 90, 45, 7.5


def summary_page(segmentation: LandmarkSegmentation, radiograph: Radiograph) -> bytes:
    """Return a PDF of one page: image, verdict with reasons, measures, organs, reading notes, identity of the model.

    Name and identifier of the patient, dates and the file's path are not on it: a DICOM object that holds the page has
    them in its header, where they can be removed. Text that is burned into the radiograph is in the image, though.
    The same result gives the same bytes.

    Args:
        segmentation: the result for that radiograph.
        radiograph: of any source.
    """
    register_fonts()
    content = BytesIO()
    # The first font is written even if no text uses it; the default one would not be embedded.
    canvas = Canvas(content, pagesize=A4, invariant=1, pageCompression=1, lang="en-US", initialFontName=REGULAR)
    canvas.setTitle(f"{TITLE}: {segmentation.reliability.verdict}")
    canvas.setSubject(PURPOSE)
    canvas.setAuthor(_SOFTWARE)
    canvas.setCreator(_SOFTWARE)
    _draw(canvas, segmentation, radiograph)
    canvas.save()
    return content.getvalue()


def _draw(canvas: Any, segmentation: LandmarkSegmentation, radiograph: Radiograph) -> None:
    """Draw the blocks from top to bottom, the last one at the bottom; all smaller if there are too many words."""
    scale = 1.0
    while True:
        width, height = ((side - 2 * _MARGIN) / scale for side in A4)
        above = [_heading(width), _verdict(segmentation, width)]
        measures = _measures(segmentation, radiograph, (1 - _RADIOGRAPH_SHARE) * width)
        below = [_organs(segmentation, width), *_notes(radiograph, width), _identity(segmentation, radiograph, width)]
        room = height - sum(height_of(block, width) + _GAP for block in (*above, *below)) - _LEGEND_HEIGHT
        if room >= max(_LEAST_RADIOGRAPH_HEIGHT, height_of(measures, width) - _LEGEND_HEIGHT):
            break
        scale *= 0.96
    image = [_radiograph_image(segmentation, radiograph, _RADIOGRAPH_SHARE * width - 12, room), _legend(segmentation)]
    canvas.translate(_MARGIN, _MARGIN)
    canvas.scale(scale, scale)
    _stack(canvas, [*above, _beside(image, measures, width), *below], width, height)


def _stack(canvas: Any, blocks: list[Any], width: float, height: float) -> None:
    """Draw blocks below each other; what is left of the height goes between them, most of it before the last one."""
    heights = [height_of(block, width) for block in blocks]
    gap = min(_LARGEST_GAP, (height - sum(heights)) / (len(blocks) - 1))
    for block, block_height in zip(blocks[:-1], heights[:-1], strict=True):
        height -= block_height
        block.drawOn(canvas, 0, height)
        height -= gap
    blocks[-1].drawOn(canvas, 0, 0)


def _heading(width: float) -> Any:
    """Return the title, and below it what the page is not for."""
    title = [
        paragraph(TITLE, size=15, font=BOLD, color=WHITE),
        paragraph("Automatic landmark segmentation of a chest radiograph", size=8.5, color=WHITE),
    ]
    return table(
        [(title,), (paragraph(PURPOSE, size=10.5, font=BOLD, align=1),)],
        [width],
        ("BACKGROUND", (0, 0), (0, 0), INK),
        ("BACKGROUND", (0, 1), (0, 1), _WARNING_COLOR),
        ("LEFTPADDING", (0, 0), (-1, -1), 10),
        ("TOPPADDING", (0, 0), (-1, -1), 5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
    )


def _verdict(segmentation: LandmarkSegmentation, width: float) -> Any:
    """Return the verdict in color and in words, with its reasons."""
    reliability = segmentation.reliability
    color = _VERDICT_COLORS[reliability.verdict]
    name = [
        paragraph("Verdict", size=8, color=WHITE, align=1),
        paragraph(reliability.verdict.upper(), size=17, font=BOLD, color=WHITE, align=1),
    ]
    words: list[Any] = [paragraph(VERDICT_SENTENCES[reliability.verdict], size=9.5, font=BOLD, color=color)]
    if reliability.reasons:
        words.append(bullets([reliability.in_words(reason) for reason in reliability.reasons], 0.75 * width, size=8.5))
    return table(
        [(name, words)],
        [0.22 * width, 0.78 * width],
        ("BACKGROUND", (0, 0), (0, 0), color),
        ("BACKGROUND", (1, 0), (1, 0), FAINT),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
        ("TOPPADDING", (0, 0), (-1, -1), 4),
        ("LEFTPADDING", (1, 0), (1, 0), 8),
    )


def _radiograph_image(segmentation: LandmarkSegmentation, radiograph: Radiograph, width: float, height: float) -> Any:
    """Return the radiograph with contours and nodes, as large as fits into so many points."""
    image = draw_landmarks(radiograph.pixels, segmentation.landmarks, segmentation.shown_uncertainty)
    scale = min(width / image.width, height / image.height)
    content = BytesIO()
    image.save(content, "JPEG", quality=_JPEG_QUALITY, subsampling=0, optimize=True)
    return Image(content, scale * image.width, scale * image.height, hAlign="LEFT")


def _legend(segmentation: LandmarkSegmentation) -> Any:
    """Return the color bar of the nodes' uncertainty and the lines of the organs' contours."""
    drawing = Drawing(3 * _BAR_WIDTH, _LEGEND_HEIGHT, hAlign="LEFT", initialFontName=REGULAR)
    step = _BAR_WIDTH / _BAR_STEPS
    for number in range(_BAR_STEPS):
        color = _color(uncertainty_color(number / (_BAR_STEPS - 1)))
        # A little wider than its step: viewers show a seam between shapes that only touch.
        drawing.add(Rect(number * step, 20, 1.3 * step, 9, fillColor=color, strokeColor=None))
    measure = segmentation.shown_measure.capitalize()
    words = f"{measure} 0 to {color_bar_end(segmentation.shown_uncertainty):g} px of this image"
    drawing.add(_words(_BAR_WIDTH + 8, 22, words))
    for number, organ in enumerate(ORGANS):
        left = number * _BAR_WIDTH
        drawing.add(Line(left, 9, left + 18, 9, strokeColor=_color(organ.color), strokeWidth=2.5))
        drawing.add(_words(left + 23, 6.5, organ.title))
    return drawing


def _words(x: float, y: float, words: str) -> Any:
    return String(x, y, words, fontName=REGULAR, fontSize=_WORDS_SIZE, fillColor=INK)


def _color(rgb: tuple[int, int, int]) -> Any:
    return Color(*(band / 255 for band in rgb))


def _measures(segmentation: LandmarkSegmentation, radiograph: Radiograph, width: float) -> Any:
    """Return the ratio in large, the other measures, and what the words mean."""
    # What must not be used is not to catch the eye.
    color = PALE if segmentation.reliability.verdict == "reject" else INK
    ratio = [
        paragraph("Cardiothoracic ratio"),
        paragraph(segmentation.cardiothoracic_ratio.in_words(), size=15, font=BOLD, color=color),
    ]
    rows = pairs(measure_rows(segmentation, radiograph), [0.57 * width, 0.43 * width])
    words = [paragraph(sentence, size=6.5) for sentence in EXPLANATIONS]
    gap = ("BOTTOMPADDING", (0, 0), (-1, -1), 8)
    aligned = [("LEFTPADDING", (0, row), (0, row), 4) for row in (0, 2)]  # with the text in the cells between
    return table([(ratio,), (rows,), (words,)], [width], *_NO_PADDING, gap, *aligned)


def _beside(left: list[Any], right: Any, width: float) -> Any:
    """Put image and measures side by side, both from the top."""
    columns = [_RADIOGRAPH_SHARE * width, (1 - _RADIOGRAPH_SHARE) * width]
    return table([(left, right)], columns, ("VALIGN", (0, 0), (-1, -1), "TOP"), *_NO_PADDING)


def _organs(segmentation: LandmarkSegmentation, width: float) -> Any:
    head = [paragraph(column, size=7.5, font=BOLD) for column in ORGAN_COLUMNS]
    body = [[paragraph(cell, size=7.5) for cell in row] for row in organ_rows(segmentation)]
    shares = (0.12, 0.14, 0.14, 0.14, 0.16, 0.14, 0.16)
    return table(
        [head, *body],
        [share * width for share in shares],
        ("BACKGROUND", (0, 0), (-1, 0), FAINT),
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINES),
    )


def _notes(radiograph: Radiograph, width: float) -> list[Any]:
    """Return how the image was read, if there is anything to say."""
    if not radiograph.notes:
        return []
    title = ("LEFTPADDING", (0, 0), (0, 0), 4)
    sentences = bullets([note_in_words(note) for note in radiograph.notes], width, size=7.5)
    return [table([(paragraph("How the image was read", font=BOLD),), (sentences,)], [width], *_NO_PADDING, title)]


def _identity(segmentation: LandmarkSegmentation, radiograph: Radiograph, width: float) -> Any:
    rows = pairs(identity_rows(segmentation, radiograph), [0.28 * width, 0.72 * width])
    return table([(rows,)], [width], *_NO_PADDING)
