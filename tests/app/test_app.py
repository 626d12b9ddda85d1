"""The MONAI Deploy application, run as its users run it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import FileDataset
from support.processes.deploy_sdk import NEEDS_SDK
from support.samples.dicom import make_dx, save
from support.samples.studies import in_study, make_ct, make_lateral

pytestmark = [pytest.mark.deploy, NEEDS_SDK]

RunApp = Callable[..., int]
SUFFIXES = (".json", ".overlay.png", ".pr.dcm", ".seg.dcm", ".sr.dcm")


FETCHING = """
import sys, time
from monai_chexmask_u.archive import fetch
def fetch_study(archive, folder, **options):
    (folder / "1.dcm").touch()
    print(folder, flush=True)
    time.sleep(60)
fetch.fetch_study = fetch_study
from app.__main__ import main
sys.exit(main(["--fetch-from", "http://localhost:1/", "--study", "1.2.3", "-o", "out"]))
"""


def outputs_of(*images: FileDataset) -> set[str]:
    return {"run.json", *(f"{image.SOPInstanceUID}{suffix}" for image in images for suffix in SUFFIXES)}


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_real_radiograph_gives_every_output_from_any_folder(
    chest_cr: Path, study: Path, output: Path, bundle: Path, repository: Path, tmp_path: Path
) -> None:
    source = pydicom.dcmread(chest_cr)
    (study / "IM0001").write_bytes(chest_cr.read_bytes())
    (tmp_path / "models").mkdir()  # what the SDK would take for the model
    command = [sys.executable, str(repository / "app"), "-i", str(study), "-o", str(output), "-m", str(bundle)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HOLOSCAN")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stderr
    assert names_in(output) == outputs_of(source)
    name = str(output / source.SOPInstanceUID)
    assert json.loads(Path(f"{name}.json").read_text())["model"]["name"] == "tiny"
    segmentation, report = pydicom.dcmread(f"{name}.seg.dcm"), pydicom.dcmread(f"{name}.sr.dcm")
    assert (segmentation.Modality, report.Modality) == ("SEG", "SR")
    assert segmentation.StudyInstanceUID == report.StudyInstanceUID == source.StudyInstanceUID
    assert done.stdout == ""
    assert all("[INFO] (app" in line for line in done.stderr.splitlines())
    assert len(done.stderr.splitlines()) == 8  # the model, the verdict, five files, the summary
    assert f"segmented {source.SOPInstanceUID}: review (not_calibrated)" in done.stderr
    assert "calibration none" in done.stderr
    assert str(source.PatientName) not in done.stderr


def test_a_lateral_view_in_the_same_series_is_skipped_and_every_frontal_one_done(
    study: Path, output: Path, bundle: Path, run_app: RunApp, capfd: pytest.CaptureFixture[str]
) -> None:
    first = make_dx()
    second = in_study(make_dx(seed=1), first)
    for image in (first, second):
        image.ImagePositionPatient = [0, 0, 0]  # the SDK's loader would keep only one of them
    save(first, study / "1.dcm")
    save(second, study / "2.dcm")
    save(first, study / "copy of 1.dcm")
    lateral = in_study(make_lateral(), first)
    save(lateral, study / "3.dcm")
    save(in_study(make_ct(), first), study / "4.dcm")
    (study / "README.txt").write_text("of the archive")

    assert run_app("-i", study, "-o", output, "-m", bundle) == 0
    assert names_in(output) == outputs_of(first, second)
    log = capfd.readouterr().err
    assert f"skipped {lateral.SOPInstanceUID}: not_frontal" in log
    assert "10 files written, 4 skipped" in log
    assert "Synthetic" not in log
    assert "SYN-0001" not in log


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")  # which is what this test makes
def test_damaged_files_do_not_stop_the_others_and_are_told_by_the_exit_code(
    study: Path, output: Path, bundle: Path, run_app: RunApp, capfd: pytest.CaptureFixture[str]
) -> None:
    good, cut = make_dx(), make_dx()
    save(good, study / "good.dcm")
    content = save(cut, study / "cut.dcm").read_bytes()
    (study / "cut.dcm").write_bytes(content[: len(content) // 2])
    (study / "start.dcm").write_bytes(content[:132])
    (study / "empty.dcm").touch()
    for name, uid in (("path.dcm", "../../elsewhere"), ("person.dcm", "Doe^John")):
        bad_uid = make_dx()
        bad_uid.SOPInstanceUID = uid
        save(bad_uid, study / name)

    assert run_app("-i", study, "-o", output, "-m", bundle) == 1
    assert names_in(output) == outputs_of(good)
    captured = capfd.readouterr()
    assert "Doe" not in captured.out + captured.err
    log = captured.err
    assert f"failed {cut.SOPInstanceUID}" in log
    assert "[truncated]" in log
    assert "5 files written, 5 failed" in log
    assert "Traceback" not in log


def test_the_environment_names_the_model_as_in_a_container(
    study: Path, output: Path, bundle: Path, run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_dx()
    save(image, study / "1.dcm")
    monkeypatch.setenv("HOLOSCAN_MODEL_PATH", str(bundle))
    assert run_app("-i", study, "-o", output) == 0
    record = json.loads((output / f"{image.SOPInstanceUID}.json").read_text())
    assert (record["model"]["name"], record["model"]["version"]) == ("tiny", "9.9")


def test_the_log_names_calibration_and_verdict(
    study: Path, output: Path, calibrated_bundle: Path, run_app: RunApp, capfd: pytest.CaptureFixture[str]
) -> None:
    image = make_dx()
    save(image, study / "1.dcm")
    assert run_app("-i", study, "-o", output, "-m", calibrated_bundle) == 0
    record = json.loads((output / f"{image.SOPInstanceUID}.json").read_text())
    log = capfd.readouterr().err
    assert f"calibration {record['model']['calibration_sha256']}, on" in log
    assert any(line.endswith(f"segmented {image.SOPInstanceUID}: accept") for line in log.splitlines())


def test_an_unusable_calibration_is_told_in_one_line(
    study: Path, output: Path, bundle: Path, run_app: RunApp, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model = Path(shutil.copytree(bundle, tmp_path / "calibrated"))
    (model / "models" / "model.calibration.pt").write_bytes(b"broken")
    assert run_app("-i", study, "-o", output, "-m", model) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("chexmask-u app: ")
    assert "model.calibration.pt: is no calibration, or is broken" in line


@pytest.mark.parametrize("images", [[], [make_ct, make_ct], [make_lateral]], ids=["empty", "CT", "lateral"])
def test_a_study_without_a_usable_image_is_told_in_one_line(
    images: list[Callable[[], FileDataset]],
    study: Path,
    output: Path,
    bundle: Path,
    run_app: RunApp,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for number, make in enumerate(images):
        save(make(), study / f"{number}.dcm")
    assert run_app("-i", study, "-o", output, "-m", bundle, "-l", "ERROR") == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("chexmask-u app: no frontal chest radiograph")
    assert names_in(output) == {"run.json"}


@pytest.mark.parametrize("wrong", ["-i", "-o", "-m", "empty model", "option"])
def test_a_mistake_of_the_user_is_told_in_one_line(
    wrong: str,
    study: Path,
    output: Path,
    bundle: Path,
    tmp_path: Path,
    run_app: RunApp,
    capfd: pytest.CaptureFixture[str],
) -> None:
    arguments = {"-i": study, "-o": output, "-m": bundle}
    (tmp_path / "a file").touch()
    (tmp_path / "empty").mkdir()
    changes = {
        "-i": {"-i": tmp_path / "nowhere"},
        "-o": {"-o": tmp_path / "a file"},
        "-m": {"-m": tmp_path / "nowhere"},
        "empty model": {"-m": tmp_path / "empty"},
        "option": {"--frobnicate": study},
    }
    arguments |= changes[wrong]
    assert run_app(*(item for pair in arguments.items() for item in pair)) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("chexmask-u app: ")
    assert str(next(iter(changes[wrong].values()))) in line


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_no_image_of_the_archive_is_left_by_a_run_that_is_stopped_while_it_fetches(
    number: signal.Signals, repository: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(repository)}
    app = subprocess.Popen(
        [sys.executable, "-c", FETCHING], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert app.stdout is not None
    fetched = Path(app.stdout.readline().strip())
    assert list(fetched.iterdir()) == [fetched / "1.dcm"]
    app.send_signal(number)
    app.communicate(timeout=60)
    assert app.returncode == 128 + number
    assert not fetched.exists()


@pytest.mark.parametrize("empty", ["--input=", "-i=", "--output=", "--model="])
def test_an_option_without_a_value_is_not_the_current_folder(
    empty: str,
    study: Path,
    tmp_path: Path,
    run_app: RunApp,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_app("-i", study, "-o", "out", empty) == 2
    assert capfd.readouterr().err == f"chexmask-u app: {empty} has no value; give one, or leave the option out\n"


def test_the_cuda_runtime_of_the_wheel_is_loaded_where_the_system_has_none(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(repository))
    from app import cuda_runtime

    library = tmp_path / "nvidia" / "cu13" / "lib" / cuda_runtime.LIBRARY
    library.parent.mkdir(parents=True)
    library.touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    tried: list[str] = []

    def load(name: str, mode: int) -> None:
        tried.append(name)
        if name != str(library):
            raise OSError

    monkeypatch.setattr("ctypes.CDLL", load)
    cuda_runtime.preload_cuda_runtime()
    assert tried == [cuda_runtime.LIBRARY, str(library)]
