from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.samples.published_tables import (
    ID_FORMS,
    PublishedRow,
    as_json,
    chexmask_header,
    chexmask_u_header,
    elided,
    make_rows,
    printed,
    table_text,
    write_table,
)

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.dataset.folder import DatasetError
from monai_chexmask_u.dataset.published_tables.reading import PublishedTable
from monai_chexmask_u.dataset.published_tables.style import radiograph_id
from monai_chexmask_u.dataset.schema import FAILURE_SCHEMA, SCHEMA
from monai_chexmask_u.dataset.sources import SOURCES

SHAPE = (160, 120)


def read(path: Path, **options: str) -> tuple[pa.Table, pa.Table]:
    parts = list(PublishedTable(path, **options).parts())
    return pa.concat_tables([part.rows for part in parts]), pa.concat_tables([part.failures for part in parts])


def table(path: Path, rows: Sequence[PublishedRow], header: Sequence[str] | None = None) -> Path:
    return write_table(path / "table.csv", rows, header or chexmask_u_header())


@pytest.mark.parametrize("id_column", ID_FORMS)
@pytest.mark.parametrize("release", ["chexmask", "chexmask-u", "latents", "index", "any order"])
def test_every_header_is_read(tmp_path: Path, id_column: str, release: str) -> None:
    rows = make_rows(3, id_column=id_column, shape=SHAPE)
    header = chexmask_header(id_column) if release == "chexmask" else chexmask_u_header(id_column, latents=True)
    if release == "index":
        header = ["", *header]
    if release == "any order":
        header = header[::-1]
    found, failures = read(table(tmp_path, rows, header), frame="image")
    assert found.schema == SCHEMA
    assert failures.schema == FAILURE_SCHEMA
    assert failures.num_rows == 0
    source = next((source for source in SOURCES if source.id_column == id_column), None)
    assert found["source"].to_pylist() == [source.title if source else None] * 3
    for row, made in zip(found.to_pylist(), rows, strict=True):
        assert row["image_id"] == radiograph_id(made.image_id, source)
        np.testing.assert_array_equal(np.reshape(row["landmarks"], (120, 2)), made.landmarks)
        assert (row["height"], row["width"]) == SHAPE
        assert (row["dice_rca_mean"], row["dice_rca_max"]) == (made.rca_mean, made.rca_max)
        if release == "chexmask":
            assert row["landmarks_std"] is None
        else:
            np.testing.assert_allclose(np.reshape(row["landmarks_std"], (120, 2)), made.std, rtol=1e-6)
            np.testing.assert_allclose(row["latent_std"], made.latents, rtol=1e-6)


def test_uncertainties_follow_by_their_published_definition(tmp_path: Path) -> None:
    made = make_rows(1, shape=SHAPE)[0]
    found, _ = read(table(tmp_path, [made], chexmask_u_header(latents=True)))
    row = found.to_pylist()[0]
    nodes = made.std.mean(axis=1)
    for organ in ORGANS:
        assert row[f"{organ.name}_uncertainty_px"] == pytest.approx(nodes[organ.nodes].mean())
        assert row[f"{organ.name}_mask"]
    assert row["predictive_px1024"] == pytest.approx(nodes.mean() * 1024 / 160)
    assert row["score"] == row["predictive_px1024"]
    assert row["latent_uncertainty"] == pytest.approx(made.latents.mean())
    assert row["verdict"] is None


def test_a_table_is_read_in_bounded_blocks(tmp_path: Path) -> None:
    path = table(tmp_path, make_rows(200, shape=SHAPE))
    parts = list(PublishedTable(path).parts(block_bytes=64 << 10))
    counts = [len(part.rows) for part in parts]
    assert sum(counts) == 200
    assert max(counts) <= (64 << 10) * 200 / path.stat().st_size + 2
    assert len(counts) >= path.stat().st_size / (64 << 10)


def test_the_first_block_is_there_before_the_others_are_read(tmp_path: Path) -> None:
    path = table(tmp_path, make_rows(200, shape=SHAPE))
    whole = path.read_bytes()
    path.write_bytes(whole + b'1,"a quotation that never ends\n' + b"x" * 200_000)
    parts = PublishedTable(path, frame="image").parts(block_bytes=64 << 10)
    assert len(next(parts).rows) > 1
    with pytest.raises(DatasetError, match=r"table\.csv: cannot be read as a table"):
        list(parts)


def test_a_compressed_table_is_read(tmp_path: Path) -> None:
    rows = make_rows(5, shape=SHAPE)
    plain, _ = read(table(tmp_path, rows))
    compressed, _ = read(write_table(tmp_path / "table.csv.gz", rows, chexmask_u_header()))
    assert compressed.equals(plain)


def test_a_compressed_table_that_was_cut_off_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    content = gzip.compress(table_text(make_rows(50, shape=SHAPE), chexmask_u_header()).encode())
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DatasetError, match=r"table\.csv\.gz: cannot be read"):
        read(path, frame="image")


def test_other_columns_are_reported(tmp_path: Path) -> None:
    rows = [row.with_cells(View="PA") for row in make_rows(2, shape=SHAPE)]
    made = PublishedTable(table(tmp_path, rows, ["View", *chexmask_u_header()]))
    assert made.layout.dropped == ("View",)
    assert made.settings["dropped"] == ["View"]
    assert made.settings["header"] == chexmask_u_header()


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"Landmarks_(Mean)": "1,2,3"}, "landmarks_broken", "'Landmarks (Mean)' has 3 numbers, but 240 were expected"),
        ({"Landmarks_(Mean)": ""}, "landmarks_broken", "'Landmarks (Mean)' is empty"),
        ({"Landmarks_(Std)": "1,2"}, "std_broken", "'Landmarks (Std)' has 2 numbers, but 240 were expected"),
        ({"latents": "a,b"}, "latents_broken", "'latents' has 2 numbers, but 64 were expected"),
        (
            {"Heart": "5"},
            "mask_broken",
            "'Heart' has an odd count of numbers, but a mask has pairs of start and length",
        ),
        ({"Height": "tall"}, "size_broken", "'Height' is no number"),
        ({"Width": "0"}, "size_broken", "'Width' is no number of pixels"),
        ({"Width": "99.5"}, "size_broken", "'Width' is no number of pixels"),
        ({"Dice_RCA_(Mean)": "good"}, "rca_broken", "'Dice RCA (Mean)' is no number"),
        ({"dicom_id": ""}, "id_missing", "'dicom_id' is empty"),
    ],
)
def test_a_bad_row_fails_alone_and_says_why(tmp_path: Path, change: dict[str, str], code: str, message: str) -> None:
    rows = make_rows(4, shape=SHAPE)
    cells = {
        **rows[2].cells,
        **{name.replace("_", " ") if name != "dicom_id" else name: t for name, t in change.items()},
    }
    bad = PublishedRow(**{**vars(rows[2]), "cells": cells})
    found, failures = read(table(tmp_path, [*rows[:2], bad, rows[3]], chexmask_u_header(latents=True)))
    assert found["image_id"].to_pylist() == [rows[number].image_id for number in (0, 1, 3)]
    assert failures.num_rows == 1
    assert failures["code"].to_pylist() == [code]
    assert failures["message"].to_pylist() == [message]


def test_a_size_that_contradicts_the_frame_fails(tmp_path: Path) -> None:
    rows = [*make_rows(1), *make_rows(2, shape=SHAPE)[1:]]
    found, failures = read(table(tmp_path, rows), frame="preprocessed")
    assert found.num_rows == 1
    message = "'Height' is not 1024, the side of the published square; use the frame image"
    assert failures.select(["code", "message"]).to_pylist() == [{"code": "size_broken", "message": message}]


def test_a_radiograph_that_comes_twice_counts_once(tmp_path: Path) -> None:
    rows = make_rows(3, shape=SHAPE)
    found, failures = read(table(tmp_path, [*rows, rows[1]]))
    assert found.num_rows == 3
    # No two radiographs of a data set have the same id, those that failed among them; row 1 is the header.
    name = f"{rows[1].image_id} (row 5)"
    assert failures.select(["image_id", "code"]).to_pylist() == [{"image_id": name, "code": "id_twice"}]


def test_rows_that_failed_are_distinguished_by_their_numbers(tmp_path: Path) -> None:
    path = table(tmp_path, [replace(row, image_id="") for row in make_rows(30, shape=SHAPE)])
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], "cut,0.8\n", *lines[2:9], ",0.8\n", *lines[9:]]))
    parts = list(PublishedTable(path).parts(block_bytes=32 << 10))
    assert len(parts) > 2
    names = [name for part in parts for name in part.failures["image_id"].to_pylist()]
    assert sorted(names) == sorted(["cut (row 3)", *(f"(row {number})" for number in range(2, 34) if number != 3)])


def test_failures_do_not_depend_on_how_far_arrow_has_read_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = table(tmp_path, make_rows(30, shape=SHAPE))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], *(f"{line}cut,0.8\n" for line in lines[1:])]))

    def failed() -> list[list[str]]:
        parts = PublishedTable(path, frame="image").parts(block_bytes=32 << 10)
        return [part.failures["image_id"].to_pylist() for part in parts]

    usual, blocks = failed(), PublishedTable._blocks

    def read_to_the_end(*arguments: Any, **options: Any) -> Iterator[Any]:
        yield from list(blocks(*arguments, **options))

    monkeypatch.setattr(PublishedTable, "_blocks", read_to_the_end)
    assert failed() == usual
    assert len(usual) > 2
    assert [name for names in usual for name in names] == [f"cut (row {number})" for number in range(3, 62, 2)]


def test_a_row_with_too_few_columns_fails_alone(tmp_path: Path) -> None:
    path = table(tmp_path, make_rows(3, shape=SHAPE))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], "cut-off-radiograph,0.8\n", *lines[2:]]))
    found, failures = read(path)
    assert found.num_rows == 3
    assert failures.to_pylist() == [
        {
            "image_id": "cut-off-radiograph (row 3)",
            "image_path": None,
            "code": "columns_wrong",
            "message": "the row has 2 columns, but its table has 10",
        }
    ]


def test_a_row_that_is_not_utf8_fails_alone(tmp_path: Path) -> None:
    rows = make_rows(3, shape=SHAPE)
    path = table(tmp_path, rows)
    start = ",".join(str(value) for value in rows[1].landmarks.ravel()[:4]).encode()
    content = path.read_bytes()
    second = content.index(rows[1].image_id.encode())
    path.write_bytes(content[:second] + content[second:].replace(start, b"\xff\xfe", 1))
    found, failures = read(path)
    assert found.num_rows == 2
    assert failures["code"].to_pylist() == ["landmarks_broken"]


def test_landmarks_come_in_every_released_form(tmp_path: Path) -> None:
    rows = make_rows(4, shape=SHAPE)
    forms = [lambda points: None, as_json, printed, elided]
    made = [
        row if form(row.landmarks) is None else row.with_cells(**{"Landmarks_(Mean)": str(form(row.landmarks))})
        for row, form in zip(rows, forms, strict=True)
    ]
    found, failures = read(table(tmp_path, made))
    assert found["notes"].to_pylist() == [[NOTE], [NOTE], [NOTE, "landmarks_printed"]]
    for row, original in zip(found["landmarks"].to_pylist(), rows, strict=False):
        np.testing.assert_array_equal(np.reshape(row, (120, 2)), original.landmarks)
    assert failures["code"].to_pylist() == ["landmarks_broken"]
    assert "(...)" in failures["message"][0].as_py()


NOTE = "border_not_restored"


def test_unknown_and_swapped_sizes_are_noted(tmp_path: Path) -> None:
    rows = make_rows(3, id_column="image_id", shape=SHAPE)
    made = [
        rows[0].with_cells(Height=""),
        rows[1].with_cells(Height="120", Width="160"),
        rows[2].with_cells(Height="nan"),
    ]
    found, _ = read(table(tmp_path, made, chexmask_u_header("image_id")))
    assert found["height"].to_pylist() == [None, 160, None]
    assert found["width"].to_pylist() == [120, 120, 120]
    assert found["notes"].to_pylist() == [["height_unknown"], ["height_width_swapped"], ["height_unknown"]]
    assert found["score"].null_count == 0
