"""The field to choose a radiograph with; it sends the file to an address of the session alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import gradio as gr

from monai_chexmask_u.demo.uploads import MAX_UPLOAD_BYTES

__all__ = ["upload_field"]

_SCRIPT: Final = Path(__file__).with_name("upload.js")
_TEMPLATE: Final = """
<label class="sending">Radiograph: PNG, JPEG, TIFF or DICOM <input type="file"></label>
<p role="status"></p>
"""


def upload_field() -> gr.HTML:
    """Return the component; its value is the name of what was sent, empty at first.

    Its property `address` is where the file goes to.
    """
    return gr.HTML(
        value="",
        address="",
        limit=MAX_UPLOAD_BYTES,
        html_template=_TEMPLATE,
        js_on_load=_SCRIPT.read_text(encoding="utf-8"),
        elem_id="upload",
        apply_default_css=False,
    )
