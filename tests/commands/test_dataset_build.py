"""`chexmask-u dataset build | check | card` as people use them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from pyarrow import Table
from support.samples.builds import write_radiographs
from typer.testing import CliRunner, Result

from monai_chexmask_u.cli import app
from monai_chexmask_u.commands import console
from monai_chexmask_u.commands.dataset_build import BuildProgress
from monai_chexmask_u.dataset.building import shards
from monai_chexmask_u.dataset.folder import Manifest, write_shard

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["dataset", *map(str, arguments)])

    return call


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_radiographs(tmp_path / "radiographs", 5, broken=[3])


def build_arguments(images: Path, output: Path, model: Path, *more: object) -> list[object]:
    small = ["--samples", 4, "--films-per-shard", 2, "--workers", 1, "--device", "cpu"]
    return ["build", "--images", images, "-o", output, "--model", model, *small, *more]


def said(text: str, result: Result) -> bool:
    return text in " ".join(result.output.split())


def test_a_build_says_what_it_did_and_a_second_one_does_nothing(
    run: Run, images: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    first = run(*build_arguments(images, tmp_path / "out", tiny_bundle))
    assert first.exit_code == 1
    assert said("4 of 5 radiographs segmented, 3 shards in", first)
    assert said("verdicts: 4 review", first)
    assert said("1 failed: 1 truncated (failures.parquet)", first)
    assert said("radiographs/s", first)
    second = run(*build_arguments(images, tmp_path / "out", tiny_bundle))
    assert second.exit_code == 1
    assert said("5 of 5 radiographs are done already", second)
    assert said("4 of 5 radiographs segmented", second)
    whole = run("check", tmp_path / "out")
    assert whole.exit_code == 0, whole.output
    assert said("whole and as written; rows: 4; shards: 3; radiographs that failed: 1", whole)
    card = run("card", tmp_path / "out")
    assert card.exit_code == 0
    assert (tmp_path / "out" / "README.md").is_file()


def test_a_source_gives_ids_title_and_crop(run: Run, tmp_path: Path, tiny_bundle: Path) -> None:
    name = "02aa804e-bde0afdd-112c0b34-7bc16630-4e384014"
    place = write_radiographs(tmp_path / "radiographs", 1) / "radiograph000.png"
    study = tmp_path / "mimic" / "files" / "p10" / "p10000032" / "s50414267"
    study.mkdir(parents=True)
    Image.open(place).save(study / f"{name}.jpg")
    arguments = build_arguments(tmp_path / "mimic", tmp_path / "out", tiny_bundle, "--source", "mimic-cxr-jpg")
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert said("view table not found", result)
    row = pq.read_table(tmp_path / "out" / "data").to_pylist()[0]
    assert (row["image_id"], row["source"]) == (name, "MIMIC-CXR-JPG")
    assert row["image_path"] == f"files/p10/p10000032/s50414267/{name}.jpg"
    assert run(*arguments, "--no-crop-border").exit_code == 2, "other settings"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--images", "nowhere"], "there is no file or folder"),
        (["--images", "empty"], "no radiograph found"),
        (["--source", "brixia"], "there is no source 'brixia'; known are chestx-ray8"),
        (["-o", "radiographs/out"], "lies among the radiographs, and would be one of them"),
        (["--engine", "spark"], "there is no engine 'spark'; known are local and ray"),
        (["--device", "tpu"], "device 'tpu' cannot be used here"),
        (["--model", "empty"], "expected one bundle"),
        (["--rca", "empty"], "no landmarks"),
    ],
)
def test_what_cannot_start_is_said_in_one_line_and_leaves_nothing(
    run: Run,
    images: Path,
    tmp_path: Path,
    tiny_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: list[str],
    message: str,
) -> None:
    if change[0] == "--rca":
        pytest.importorskip("itk", reason="the extra [rca] is not installed")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    result = run(*build_arguments(images, tmp_path / "out", tiny_bundle), *change)
    assert result.exit_code == 2, result.output
    assert said(message, result)
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_said(run: Run, images: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = run(*build_arguments(images, tmp_path / "file" / "out", tiny_bundle))
    assert result.exit_code == 2
    assert said("results cannot be written here (Not a directory); choose another folder with -o", result)


def test_a_disk_that_fills_up_is_said_with_what_is_kept(
    run: Run, images: Path, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = write_shard

    def full(folder: Path, number: int, rows: Table, failures: Table) -> object:
        if number == 1:
            raise OSError(28, "No space left on device")
        return original(folder, number, rows, failures)

    monkeypatch.setattr(shards, "write_shard", full)
    result = run(*build_arguments(images, tmp_path / "out", tiny_bundle))
    assert result.exit_code == 2
    assert said(
        "cannot continue (No space left on device); 2 of 5 radiographs are kept, and the same command continues", result
    )


def test_who_stops_a_build_reads_what_is_kept(
    run: Run, images: Path, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: BuildProgress, shard: object) -> None:
        self.kept_rows += 2
        raise KeyboardInterrupt

    monkeypatch.setattr(BuildProgress, "shard_done", stop)
    result = run(*build_arguments(images, tmp_path / "out", tiny_bundle))
    assert result.exit_code == 130
    assert said("stopped; 2 of 5 radiographs are kept, and the same command continues with the others", result)


def test_a_damaged_data_set_is_listed(run: Run, images: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    run(*build_arguments(images, tmp_path / "out", tiny_bundle))
    (tmp_path / "out" / "data" / "part-00000.parquet").unlink()
    result = run("check", tmp_path / "out")
    assert result.exit_code == 1
    assert said("part-00000.parquet: is missing", result)
    assert said("problems found: 1", result)
    shutil.rmtree(tmp_path / "out")
    assert run("check", tmp_path / "out").exit_code == run("card", tmp_path / "out").exit_code == 2


def test_a_missing_package_is_said_with_its_extra(
    run: Run, images: Path, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "find_spec", lambda name: None if name in ("ray", "pyarrow") else sys)
    result = run(*build_arguments(images, tmp_path / "out", tiny_bundle, "--engine", "ray"))
    assert result.exit_code == 2
    assert said("the package pyarrow is missing; install this one with its extra: pip install '.[dataset]'", result)


def test_radiographs_that_can_be_read_again_are_done_again_when_asked(
    run: Run, images: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    arguments = build_arguments(images, tmp_path / "out", tiny_bundle)
    assert run(*arguments).exit_code == 1
    shutil.copy(images / "radiograph000.png", images / "radiograph003.png")
    assert run(*arguments).exit_code == 1
    again = run(*arguments, "--retry-failed")
    assert again.exit_code == 0, again.output
    assert said("5 of 5 radiographs segmented", again)
    assert run("check", tmp_path / "out").exit_code == 0


def test_radiographs_that_have_gone_altogether_stop_the_build(
    run: Run, images: Path, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = BuildProgress.started

    def gone(self: BuildProgress, manifest: Manifest) -> None:
        original(self, manifest)
        images.rename(tmp_path / "elsewhere")

    monkeypatch.setattr(BuildProgress, "started", gone)
    stopped = run(*build_arguments(images, tmp_path / "out", tiny_bundle))
    assert stopped.exit_code == 2
    assert said("cannot continue (the radiographs are no longer there); 0 of 5 radiographs are kept", stopped)
    monkeypatch.undo()
    (tmp_path / "elsewhere").rename(images)
    assert said("4 of 5 radiographs segmented", run(*build_arguments(images, tmp_path / "out", tiny_bundle)))
