"""Components that Gradio does not have: a field that sends a radiograph, and a radiograph to draw on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import gradio as gr

from monai_chexmask_u.demo.uploads import MAX_UPLOAD_BYTES

__all__ = ["drawing_pad", "upload_field"]

_FOLDER: Final = Path(__file__).parent
_FIELD: Final = """
<label class="sending">Radiograph: PNG, JPEG, TIFF or DICOM <input type="file"></label>
<p role="status"></p>
"""
_PAD: Final = """
<div class="pad">
  <img src="${radiograph}" alt="${radiograph ? 'The radiograph; draw on it to mask a region' : 'No radiograph yet'}"
  draggable="false"> <canvas aria-label="Drawing area: what you draw is masked" role="img"></canvas>
</div>
"""


def upload_field() -> gr.HTML:
    """Return the component; its value is the name of what was sent, empty at first.

    Its property `address` is where the file goes to.
    """
    return gr.HTML(
        value="",
        address="",
        limit=MAX_UPLOAD_BYTES,
        html_template=_FIELD,
        js_on_load=_FOLDER.joinpath("upload.js").read_text(encoding="utf-8"),
        elem_id="upload",
        apply_default_css=False,
    )


def drawing_pad() -> gr.HTML:
    """Return the component; its value is the drawing as a PNG in a data URL, empty without one.

    Its property `radiograph` is the image to draw on; with another radiograph the drawing goes.
    """
    return gr.HTML(
        value="",
        radiograph="",
        brush=40,
        html_template=_PAD,
        js_on_load=_FOLDER.joinpath("drawing.js").read_text(encoding="utf-8"),
        elem_id="drawing",
        apply_default_css=False,
    )
