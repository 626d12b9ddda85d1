from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples.segmentations import make_radiograph, make_segmentation

from monai_chexmask_u.reading import is_candidate
from monai_chexmask_u.writers.formats import FORMATS, parse_formats, write_outputs

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


def test_outputs_of_a_image_are_written_without_dicom(tmp_path: Path) -> None:
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
