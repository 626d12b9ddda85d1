"""What killed processes leave behind goes, what living ones write stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from monai_chexmask_u.files.atomic import atomic_path, prepare_folder
from monai_chexmask_u.files.leftovers import PARTIAL, remove_leftovers

WRITER = """
import sys
from pathlib import Path
from monai_chexmask_u.files.atomic import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print("half", flush=True)
    sys.stdin.read()
"""


def start_writer(target: Path) -> subprocess.Popen[str]:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "half\n"
    return writer


def test_only_the_file_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    living, killed = start_writer(tmp_path / "living.json"), start_writer(tmp_path / "killed.json")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    with atomic_path(tmp_path / "own.json") as temporary:
        temporary.write_text("own")
        assert len(list(tmp_path.iterdir())) == 3
        prepare_folder(tmp_path)
        assert len(list(tmp_path.iterdir())) == 2
    living.communicate("")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["living.json", "own.json"]


def test_links_pipes_and_other_names_are_not_touched(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine").write_text("mine")
    (tmp_path / f"{PARTIAL}link").symlink_to(other)
    (tmp_path / f"{PARTIAL}file-link.json").symlink_to(other / "mine")
    os.mkfifo(tmp_path / f"{PARTIAL}pipe")
    (tmp_path / ".hidden").write_text("mine")
    (tmp_path / "partial-x").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    assert (other / "mine").read_text() == "mine"


@pytest.mark.parametrize("name", ["download", "x", "of-set-abcdefgh", "CHEXMASK-U-1", "chexmask-u"])
def test_what_others_call_partial_is_not_touched(tmp_path: Path, name: str) -> None:
    (tmp_path / f".partial-{name}").mkdir()
    (tmp_path / f".partial-{name}" / "mine").write_text("mine")
    (tmp_path / f".partial-{name}.json").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    prepare_folder(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_data_set_in_the_making_is_not_touched(tmp_path: Path) -> None:
    convert = pytest.importorskip("monai_chexmask_u.dataset.published_tables.convert", reason="data sets need pyarrow")
    with convert.new_folder(tmp_path / "chexmask-u-set") as making:
        (making / "part.parquet").write_text("rows")
        prepare_folder(tmp_path)
    assert [path.name for path in (tmp_path / "chexmask-u-set").iterdir()] == ["part.parquet"]


def test_a_link_inside_a_leftover_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    leftover = tmp_path / "out" / f"{PARTIAL}1"
    leftover.mkdir(parents=True)
    (leftover / "link").symlink_to(tmp_path)
    remove_leftovers(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize("name", ["absent", "file"])
def test_what_is_no_folder_has_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("text")
    remove_leftovers(tmp_path / name)
