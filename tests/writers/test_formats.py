from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.samples.dicom import make_dx, save
from support.samples.segmentations import make_radiograph, make_segmentation

from monai_chexmask_u import segmentation as results
from monai_chexmask_u.reading import is_candidate, read_radiograph
from monai_chexmask_u.writers.formats import FORMATS, Format, output_writers, parse_formats, write_outputs

SUFFIXES = {
    "json": ".json",
    "png": ".overlay.png",
    "mask": ".mask.png",
    "csv": ".landmarks.csv",
    "mrk": ".mrk.json",
    "ctbl": ".ctbl",
    "seg": ".seg.dcm",
    "seg-fractional": ".fractional.seg.dcm",
    "seg-labelmap": ".labelmap.seg.dcm",
    "seg-viewer": ".viewer.seg.dcm",
    "pr": ".pr.dcm",
    "sc": ".sc.dcm",
    "pdf": ".pdf.dcm",
    "sr": ".sr.dcm",
}


def test_formats_and_their_suffixes_are_the_agreed_ones() -> None:
    assert {name: output.suffix for name, output in FORMATS.items()} == SUFFIXES
    assert {name for name, output in FORMATS.items() if output.needs_dicom} == {
        name for name, suffix in SUFFIXES.items() if suffix.endswith(".dcm")
    }


def test_the_report_comes_last_because_it_refers_to_the_others() -> None:
    assert list(FORMATS)[-1] == "sr"


@given(names=st.lists(st.sampled_from(list(SUFFIXES)), min_size=1))
def test_a_list_is_split_into_the_order_of_writing_without_repeats(names: list[str]) -> None:
    expected = sorted(set(names), key=list(SUFFIXES).index)
    assert parse_formats(",".join(names)) == expected
    assert parse_formats(" , ".join(names) + ",") == expected


@pytest.mark.parametrize(("names", "said"), [("json,gif", "gif"), ("JSON", "JSON"), ("", "none"), (" , ", "none")])
def test_unknown_formats_are_refused_with_those_there_are(names: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"unknown output format .*{said}.*; choose from json, png, mask, csv, mrk, "):
        parse_formats(names)


def test_outputs_of_an_image_file_are_written_without_dicom(tmp_path: Path) -> None:
    radiograph = make_radiograph()
    written = write_outputs(make_segmentation(radiograph), radiograph, tmp_path, "chest", list(SUFFIXES))
    assert [path.name for path in written] == [
        "chest.json",
        "chest.overlay.png",
        "chest.mask.png",
        "chest.landmarks.csv",
        "chest.mrk.json",
        "chest.ctbl",
    ]
    assert sorted(tmp_path.iterdir()) == sorted(written)


def test_no_output_is_taken_for_an_input(tmp_path: Path) -> None:
    for output in FORMATS.values():
        path = tmp_path / f"chest{output.suffix}"
        is_image = path.suffix in (".dcm", ".png")
        path.write_bytes(b"\0" * 128 + b"DICM" if is_image else b"some text")
        assert not is_candidate(path)


def test_the_overlay_is_drawn_once_for_all_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    radiograph = read_radiograph(save(make_dx(), tmp_path / "chest.dcm"))
    drawn = []
    sentences = results.LandmarkSegmentation._sentences

    def count(self: results.LandmarkSegmentation, *args: Any) -> list[str]:
        drawn.append(self)
        return sentences(self, *args)

    monkeypatch.setattr(results.LandmarkSegmentation, "_sentences", count)
    write_outputs(make_segmentation(radiograph), radiograph, str(tmp_path), "chest", "sc,png")
    assert len(drawn) == 1
    with Image.open(tmp_path / "chest.overlay.png") as overlay:
        capture = pydicom.dcmread(tmp_path / "chest.sc.dcm").pixel_array
        np.testing.assert_array_equal(np.asarray(overlay), capture)


def test_formats_after_one_that_fails_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(FORMATS, "png", Format(".overlay.png", refuse))
    radiograph = make_radiograph()
    found = []
    for write in output_writers(
        make_segmentation(radiograph), radiograph, tmp_path, "x", ["json", "png", "seg", "csv"]
    ):
        try:
            found.append(write().name)
        except OSError:
            found.append("failed")
    assert found == ["x.json", "failed", "x.landmarks.csv"]
