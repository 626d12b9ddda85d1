"""The radiograph to draw on: what the mouse or a finger covers is masked."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import gradio as gr

__all__ = ["drawing_pad"]

_SCRIPT: Final = Path(__file__).with_name("drawing.js")
_TEMPLATE: Final = """
<div class="pad">
  <img src="${radiograph}" alt="${radiograph ? 'The radiograph; draw on it to mask a region' : 'No radiograph yet'}"
  draggable="false"> <canvas aria-label="Drawing area: what you draw is masked" role="img"></canvas>
</div>
"""


def drawing_pad() -> gr.HTML:
    """Return the component; its value is the drawing as a PNG in a data URL, empty without one.

    Its property `radiograph` is the image to draw on; with another radiograph the drawing goes.
    """
    return gr.HTML(
        value="",
        radiograph="",
        brush=40,
        html_template=_TEMPLATE,
        js_on_load=_SCRIPT.read_text(encoding="utf-8"),
        elem_id="drawing",
        apply_default_css=False,
    )
