"""Example radiographs of the page: one drawn by this project, and pydicom's where that is installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

__all__ = ["draw_phantom", "examples"]

_SIDE: Final = 1024
_PHANTOM: Final = "Drawn chest (made by this project)"
_CHEST: Final = "Chest radiograph, DICOM (pydicom-data)"

_BODY: Final = ((60, 1024), (70, 620), (130, 330), (250, 190), (420, 130), (440, 0))  # right half, from below
_RIGHT_LUNG: Final = (
    *((395, 150), (330, 165), (270, 230), (215, 350), (180, 500), (162, 650), (158, 800), (175, 840)),
    *((250, 790), (330, 765), (405, 770), (430, 700), (425, 560), (432, 400), (440, 250), (425, 170)),
)
_LEFT_LUNG: Final = (
    *((629, 150), (694, 165), (754, 230), (809, 350), (844, 500), (862, 650), (866, 800), (849, 850)),
    *((775, 810), (740, 790), (735, 730), (690, 620), (620, 520), (595, 430), (590, 250), (600, 170)),
)
_HEART: Final = ((470, 400), (545, 390), (600, 470), (690, 600), (738, 720), (690, 800), (520, 812), (430, 780))


def examples() -> dict[str, Callable[[Path], Path]]:
    """Return the examples by title; each puts its radiograph into a folder, or finds it, and returns its path."""
    found: dict[str, Callable[[Path], Path]] = {_PHANTOM: _write_phantom}
    chest = _pydicom_chest()
    if chest is not None:
        found[_CHEST] = lambda folder: chest
    return found


def draw_phantom() -> Image.Image:
    """Draw a frontal chest of 1024 pixels: body, lungs, ribs, spine and heart, with a little noise."""
    gray = np.full((_SIDE, _SIDE), 8.0)
    body = [*_BODY, *((_SIDE - x, y) for x, y in reversed(_BODY))]
    for outline, value, blur in ((body, 150, 10), (_RIGHT_LUNG, 62, 5), (_LEFT_LUNG, 62, 5)):
        inside = _polygon(outline, blur)
        gray = gray * (1 - inside) + value * inside
    for row in range(8):  # the ribs at the back
        top = 175 + 78 * row
        for left, start, end in ((_SIDE // 2 - 360, 200, 300), (_SIDE // 2 + 60, 240, 340)):
            rib = Image.new("L", (_SIDE, _SIDE))
            ImageDraw.Draw(rib).arc((left, top, left + 300, top + 180), start, end, fill=26, width=17)
            gray = gray + np.asarray(rib.filter(ImageFilter.GaussianBlur(5)))
    gray = gray + 38 * _polygon(((482, 0), (542, 0), (542, _SIDE), (482, _SIDE)), 9)
    heart = _polygon(_HEART, 6)
    gray = gray * (1 - heart) + 176 * heart
    gray = gray + np.random.default_rng(0).standard_normal(gray.shape) * 3
    return Image.fromarray(np.clip(gray, 0, 255).round().astype(np.uint8))


def _polygon(outline: Sequence[tuple[int, int]], blur: int) -> NDArray[np.float64]:
    """Return the share of each pixel inside an outline with a soft edge."""
    layer = Image.new("L", (_SIDE, _SIDE))
    ImageDraw.Draw(layer).polygon(list(outline), fill=255)
    return np.asarray(layer.filter(ImageFilter.GaussianBlur(blur)), dtype=np.float64) / 255


def _write_phantom(folder: Path) -> Path:
    path = folder / "drawn_chest.png"
    draw_phantom().save(path)
    return path


def _pydicom_chest() -> Path | None:
    try:
        path = Path(str(distribution("pydicom-data").locate_file("data_store/data/RG1_UNCR.dcm")))
    except PackageNotFoundError:
        return None
    return path if path.is_file() else None
