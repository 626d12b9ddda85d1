"""Parameters of clients are objects that notes can keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("monailabel")

from fastapi import HTTPException
from PIL import Image
from starlette.responses import JSONResponse
from support.samples.dicom import chest_phantom

NESTED = '{"a": [{"b": ' + "[" * 29 + "1.5" + "]" * 29 + "}]}"


@pytest.mark.parametrize("text", ["", "{}", '{"a": [1, -2.5, null, true, "\\ud83e\\udec1"]}', NESTED])
def test_what_is_taken_can_be_kept_and_told(tmp_path: Path, text: str) -> None:
    from label.images.folder_datastore import ChestLocalDatastore
    from label.server.request_parameters import parsed_object

    Image.fromarray((chest_phantom(64, 64) * 255).astype(np.uint8)).save(tmp_path / "radiograph.png")
    ChestLocalDatastore(tmp_path).update_image_info("radiograph", {"earlier": 1, **parsed_object(text)})
    again = ChestLocalDatastore(tmp_path)
    assert again.get_image_info("radiograph")["earlier"] == 1
    JSONResponse(again.json())


@pytest.mark.parametrize(
    "value",
    [
        '"\\ud800"',
        '["\\udc00x"]',
        '{"\\ud800": 1}',
        "NaN",
        "-Infinity",
        "1e999",
        "[" * 300 + "]" * 300,
        '{"a":' * 300 + "1" + "}" * 300,
        "[" * 100_000,
    ],
    ids=lambda value: str(value)[:12],
)
def test_what_would_make_all_notes_unreadable_is_refused(value: str) -> None:
    from label.server.request_parameters import parsed_object

    with pytest.raises(HTTPException) as caught:
        parsed_object(f'{{"a": {value}}}' if value[0] != "[" or value.endswith("]") else value)
    assert caught.value.status_code == 400


@pytest.mark.parametrize("text", ["[]", "1", '"a"', "null"])
def test_what_is_no_object_is_refused(text: str) -> None:
    from label.server.request_parameters import parsed_object

    with pytest.raises(HTTPException) as caught:
        parsed_object(text)
    assert caught.value.status_code == 400
