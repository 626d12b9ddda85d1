"""Fonts, colors, paragraphs and tables of the summary page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Paragraph, Table

__all__ = [
    "BOLD",
    "FAINT",
    "INK",
    "LINES",
    "PALE",
    "REGULAR",
    "WHITE",
    "bullets",
    "height_of",
    "pairs",
    "paragraph",
    "register_fonts",
    "table",
]

REGULAR: Final = "Vera"
BOLD: Final = "VeraBd"
INK: Final = HexColor("#1f2933")
FAINT: Final = HexColor("#eef2f5")
LINES: Final = HexColor("#c3ccd5")
PALE: Final = HexColor("#7b8794")
WHITE: Final = HexColor("#ffffff")

_USUAL: Final = (
    ("FONTNAME", (0, 0), (-1, -1), REGULAR),  # of empty cells, too: it is named in the file
    ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
    *((f"{side}PADDING", (0, 0), (-1, -1), 4) for side in ("LEFT", "RIGHT")),
    *((f"{side}PADDING", (0, 0), (-1, -1), 1.5) for side in ("TOP", "BOTTOM")),
)


def register_fonts() -> None:
    """Make the fonts that come with reportlab known to it; they are embedded, so that every viewer shows the same."""
    for name in {REGULAR, BOLD}.difference(pdfmetrics.getRegisteredFontNames()):
        pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))


def paragraph(
    text: str, *, size: float = 8, font: str = REGULAR, color: Any = INK, align: int = 0, hanging: float = 0
) -> Any:
    """Return a paragraph; what the fonts cannot show becomes a question mark.

    Args:
        text: plain text.
        size: in points.
        font: `REGULAR` or `BOLD`.
        color: of reportlab.
        align: 0 left, 1 center, 2 right.
        hanging: by how many points all lines but the first one are indented.
    """
    shown = escape(text.encode("cp1252", "replace").decode("cp1252"))
    style = ParagraphStyle(
        "", fontName=font, fontSize=size, leading=1.25 * size, textColor=color, alignment=align, leftIndent=hanging
    )
    style.firstLineIndent = -hanging
    return Paragraph(shown, style)


def table(rows: Sequence[Sequence[Any]], widths: Sequence[float], *commands: tuple[Any, ...]) -> Any:
    """Return a table with little padding.

    Args:
        rows: cells; flowables or lists of them.
        widths: of the columns, in points.
        commands: of reportlab's `TableStyle`, which override the usual ones.
    """
    style = [*_USUAL, *commands]
    return Table([list(row) for row in rows], colWidths=list(widths), style=style)


def pairs(rows: Sequence[tuple[str, str]], widths: Sequence[float], *, size: float = 7.5) -> Any:
    """Return a table of names and values, with a line below each."""
    cells = [(paragraph(name, size=size), paragraph(value, size=size, font=BOLD)) for name, value in rows]
    return table(cells, widths, ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINES))


def bullets(sentences: Sequence[str], width: float, *, size: float) -> Any:
    """Return sentences as two columns of bullets, to be read down the first column and then down the second."""
    half = (len(sentences) + 1) // 2
    marked = [paragraph(f"• {sentence}", size=size, hanging=0.9 * size) for sentence in sentences]
    return table([(marked[:half], marked[half:])], [width / 2, width / 2], ("VALIGN", (0, 0), (-1, -1), "TOP"))


def height_of(block: Any, width: float) -> float:
    """Return the height of a flowable at a width, which also makes it ready to be drawn."""
    return float(block.wrap(width, float("inf"))[1])
