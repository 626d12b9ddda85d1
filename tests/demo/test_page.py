from __future__ import annotations

from pathlib import Path

import pytest

from monai_chexmask_u.demo.alterations import MAX_MASK_CHARACTERS
from monai_chexmask_u.demo.sessions import MAX_BYTES, Sessions
from monai_chexmask_u.demo.uploads import Uploads
from monai_chexmask_u.model import Model

pytest.importorskip("gradio")


def test_drawings_of_invented_names_take_a_small_share_of_the_memory(tiny_model: Model, tmp_path: Path) -> None:
    from monai_chexmask_u.demo.page import build_page

    page = build_page(tiny_model, Sessions(tmp_path), Uploads(tmp_path), device="cpu")
    # Gradio keeps the latest values of each name, whether there is a radiograph or not, and it drops the oldest name.
    assert page.state_session_capacity * MAX_MASK_CHARACTERS < MAX_BYTES / 4
