"""Contact sheets: many segmented radiographs side by side, for a person to count gross failures on.

Usage: python benchmarks/contact_sheet.py FOLDER -o sheet.png [--count 40] [--seed 0] [--model PATH]
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image, ImageDraw, ImageFont

from monai_chexmask_u.model import load_model
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import list_inputs, read_radiograph
from monai_chexmask_u.segmenter import Segmenter

TILE, COLUMNS = 380, 5


def main(
    inputs: Annotated[list[Path], typer.Argument(help="Images, or a folder from which a sample is drawn.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG; with several pages, their number is added.")],
    count: Annotated[int, typer.Option(help="Images in all, drawn at random without repetition.")] = 40,
    rows: Annotated[int, typer.Option(help="Rows of five images on a page.")] = 4,
    seed: Annotated[int, typer.Option(help="Of the drawing.")] = 0,
    model: Annotated[Path | None, typer.Option(help="Bundle or weights; the shipped ones by default.")] = None,
) -> None:
    """Segment a sample of images, and draw them numbered and with their uncertainty."""
    segmenter = Segmenter(load_model(model))
    paths = list_inputs(inputs)
    sample = sorted(random.Random(seed).sample(paths, min(count, len(paths))))
    tiles = []
    for number, path in enumerate(sample, 1):
        try:
            tiles.append(_tile(segmenter, path, number))
        except RadiographError as error:
            print(f"{number} {path.name}: {error} [{error.code}]")
    per_page = rows * COLUMNS
    for page, first in enumerate(range(0, len(tiles), per_page), 1):
        target = output if len(tiles) <= per_page else output.with_stem(f"{output.stem}-{page}")
        _page(tiles[first : first + per_page]).save(target)
        print(f"{target}: {len(tiles[first : first + per_page])} images")


def _tile(segmenter: Segmenter, path: Path, number: int) -> Image.Image:
    radiograph = read_radiograph(path)
    segmentation = segmenter.segment(radiograph)
    overlay = segmentation.overlay
    height = round(overlay.width * radiograph.shape[0] / radiograph.shape[1])
    image = overlay.crop((0, 0, overlay.width, height))  # without the caption
    image.thumbnail((TILE, TILE), Image.Resampling.LANCZOS)
    tile = Image.new("RGB", (TILE, TILE))
    tile.paste(image, ((TILE - image.width) // 2, (TILE - image.height) // 2))
    text = f"{number} {path.stem}  {segmentation.score:.1f} px"
    ImageDraw.Draw(tile).text(
        (6, 4), text, font=ImageFont.load_default(size=16), fill="yellow", stroke_width=2, stroke_fill="black"
    )
    return tile


def _page(tiles: list[Image.Image]) -> Image.Image:
    page = Image.new("RGB", (TILE * COLUMNS, TILE * -(-len(tiles) // COLUMNS)))
    for index, tile in enumerate(tiles):
        page.paste(tile, (TILE * (index % COLUMNS), TILE * (index // COLUMNS)))
    return page


if __name__ == "__main__":
    typer.run(main)
