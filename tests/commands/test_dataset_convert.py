from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from support.samples.published_tables import chexmask_header, chexmask_u_header, make_rows, write_table
from typer.testing import CliRunner, Result

from monai_chexmask_u.commands.dataset_convert import convert
from monai_chexmask_u.dataset.access import read_arrow
from monai_chexmask_u.dataset.published_tables.convert import convert_table

SHAPE = (160, 120)
app = typer.Typer()
app.command()(convert)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def table(path: Path, broken: Sequence[int] = (), count: int = 5) -> Path:
    rows = make_rows(count, shape=SHAPE)
    for number in broken:
        rows[number] = rows[number].with_cells(**{"Landmarks_(Mean)": "1,2"})
    return write_table(path / "table.csv", rows, chexmask_u_header())


def test_a_table_is_converted_and_comes_back(tmp_path: Path) -> None:
    source = table(tmp_path)
    done = run(source, "-o", tmp_path / "data")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == ["coordinates are in the frame image", f"5 rows in {tmp_path / 'data'}"]
    back = run(tmp_path / "data", "-o", tmp_path / "back.csv")
    assert back.exit_code == 0
    assert back.stdout.splitlines() == [f"5 rows in {tmp_path / 'back.csv'}"]
    assert (tmp_path / "back.csv").read_bytes() == source.read_bytes()


def test_rows_that_failed_are_reported_and_end_with_1(tmp_path: Path) -> None:
    done = run(table(tmp_path, range(12), count=14), "-o", tmp_path / "data")
    assert done.exit_code == 1
    lines = done.stderr.splitlines()
    assert lines[0] == (
        "chexmask-u: 00000001-00000000-00000000-00000000-00000000: "
        "'Landmarks (Mean)' has 2 numbers, but 240 were expected"
    )
    assert len(lines) == 11
    assert lines[-1] == f"chexmask-u: 12 rows failed; {tmp_path / 'data' / 'failures.parquet'} has them all"


def test_options_reach_the_work(tmp_path: Path) -> None:
    rows = make_rows(20, id_column="ImageID", shape=SHAPE)
    source = write_table(tmp_path / "table.csv", rows, chexmask_u_header("Image ID"))
    options = ["--frame", "image", "--source", "padchest", "--min-rca", "0.75", "--rca", "max"]
    options += ["--max-uncertainty", "heart=4.1", "--max-score", "100"]
    assert run(source, "-o", tmp_path / "data", *options).exit_code == 0
    expected = [row.image_id for row in rows if row.rca_max >= 0.75 and row.std[94:].mean() <= 4.1]
    assert 0 < len(expected) < 20
    found = read_arrow(tmp_path / "data")
    assert found["image_id"].to_pylist() == expected
    assert set(found["source"].to_pylist()) == {"PadChest"}
    done = run(tmp_path / "data", "-o", tmp_path / "old.csv", "--layout", "chexmask")
    assert done.exit_code == 0
    assert (tmp_path / "old.csv").read_text().splitlines()[0] == ",".join(chexmask_header("ImageID"))


def test_columns_that_are_left_out_are_reported(tmp_path: Path) -> None:
    rows = [row.with_cells(View="PA", Age="50") for row in make_rows(1, shape=SHAPE)]
    done = run(
        write_table(tmp_path / "table.csv", rows, [*chexmask_u_header(), "View", "Age"]), "-o", tmp_path / "data"
    )
    assert done.exit_code == 0
    assert done.stderr.splitlines() == ["chexmask-u: table.csv: left out the columns View, Age"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["none.csv", "-o", "data"], "none.csv: there is no such file"),
        (["empty", "-o", "out.csv"], "no data set"),
        (["table.csv", "-o", "full"], "not empty"),
        (["table.csv", "-o", "data", "--frame", "network"], "there is no frame 'network'"),
        (["table.csv", "-o", "data", "--source", "elsewhere"], "there is no source 'elsewhere'"),
        (["table.csv", "-o", "data", "--layout", "chexmask"], "--layout is for writing"),
        (["table.csv", "-o", "data", "--verdict", "accept"], "leave this filter out"),
        (["table.csv", "-o", "data", "--verdict", "good"], "there is no verdict 'good'"),
        (["table.csv", "-o", "data", "--max-uncertainty", "heart"], "'heart' must be an organ and its limit"),
        (["table.csv", "-o", "data", "--images", "nowhere"], "nowhere"),
        (["made", "-o", "data", "--images", "empty"], "--images is for reading"),
        (["made", "-o", "out.txt"], "ends with .csv or .csv.gz"),
        (["made", "-o", "table.csv"], "nothing is replaced"),
        (["made", "-o", "out.csv", "--layout", "other"], "there is no layout 'other'"),
        (["made", "-o", "nowhere/out.csv"], "nowhere: there is no such folder; make it first"),
        (["broken.csv", "-o", "data"], "no published table"),
        (["cut", "-o", "out.csv"], "part-00001.parquet"),
    ],
)
def test_what_cannot_start_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    table(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "work").write_text("of a person")
    (tmp_path / "broken.csv").write_text("a,b\n1,2\n")
    for name in ("made", "cut"):
        convert_table(tmp_path / "table.csv", tmp_path / name, rows_per_shard=3)
    (tmp_path / "cut" / "data" / "part-00001.parquet").write_bytes(b"PAR1 and no more")
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    done = run(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("chexmask-u: ")
    assert why in done.stderr
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


def test_a_missing_package_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monai_chexmask_u.commands.console.find_spec", lambda name: None)
    done = run(table(tmp_path), "-o", tmp_path / "data")
    assert done.exit_code == 2
    assert "pyarrow is missing" in done.stderr
    assert "[dataset]" in done.stderr


def test_the_command_is_light_to_import() -> None:
    code = "import sys, monai_chexmask_u.commands.dataset_convert; print([n for n in sys.modules if n in %r])"
    slow = ("pyarrow", "numpy", "torch", "pandas", "polars")
    done = subprocess.run([sys.executable, "-c", code % (slow,)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
