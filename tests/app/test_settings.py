"""What the application writes is chosen on its command line or in its configuration file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from support.processes.deploy_sdk import NEEDS_SDK
from support.samples.dicom import make_dx, save

from monai_chexmask_u.archive.options import ArchiveOptions
from monai_chexmask_u.writers.formats import FORMATS

pytestmark = [pytest.mark.deploy, NEEDS_SDK]

RunApp = Callable[..., int]


@pytest.fixture
def read_settings(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, list[str]]]:
    """The function; the application is no part of the installed package."""
    monkeypatch.syspath_prepend(str(repository))
    from app.settings import read_settings

    return read_settings


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.yaml"
    monkeypatch.setenv("HOLOSCAN_CONFIG_PATH", str(path))
    return path


def test_own_configuration_file_is_the_default(read_settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLOSCAN_CONFIG_PATH", raising=False)
    settings, others = read_settings(["-i", "in", "-o", "out"])
    assert settings.formats == ("json", "png", "seg", "pr", "sr")
    assert not settings.reproducible_uids
    assert others == ["-i", "in", "-o", "out"]


def test_file_of_the_container_comes_before_it_and_the_command_line_first(
    read_settings: Any, configuration: Path
) -> None:
    configuration.write_text("results:\n  write: [sr, seg]\n  reproducible-uids: true\n")
    settings, _ = read_settings([])
    assert (settings.formats, settings.reproducible_uids) == (("seg", "sr"), True)
    settings, others = read_settings(["--write", "pdf,sc", "-l", "INFO"])
    assert (settings.formats, settings.reproducible_uids) == (("sc", "pdf"), True)
    assert others == ["-l", "INFO"]


@pytest.mark.parametrize(
    "text", ["", "results:\n", "application:\n  title: x\n", "results:\n  write: json,png,seg,pr,sr\n"]
)
def test_what_is_left_out_has_its_default(text: str, read_settings: Any, configuration: Path) -> None:
    configuration.write_text(text)
    assert read_settings([])[0].formats == ("json", "png", "seg", "pr", "sr")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("results: [", "no YAML file"),
        ("results: 3", "must hold keys and values"),
        ("- 3", "must hold keys and values"),
        ("results:\n  write: [gif]", "unknown output format gif"),
        ("results:\n  write: []", r"unknown output format \(none\)"),
        ("results:\n  formats: [seg]", "unknown key formats"),
        ("results:\n  reproducible-uids: sometimes", "must be true or false"),
    ],
)
def test_a_wrong_file_is_told_by_name(text: str, said: str, read_settings: Any, configuration: Path) -> None:
    configuration.write_text(text)
    with pytest.raises(ValueError, match=rf"config\.yaml: .*{said}"):
        read_settings([])


def test_a_missing_file_is_told(read_settings: Any, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"nowhere\.yaml: the configuration cannot be read"):
        read_settings(["--config", str(tmp_path / "nowhere.yaml")])


def test_every_format_can_be_chosen(study: Path, output: Path, calibrated_bundle: Path, run_app: RunApp) -> None:
    image = make_dx()
    save(image, study / "1.dcm")
    assert run_app("-i", study, "-o", output, "-m", calibrated_bundle, "--write", ",".join(FORMATS)) == 0
    names = {f"{image.SOPInstanceUID}{output_format.suffix}" for output_format in FORMATS.values()}
    assert {path.name for path in output.iterdir()} == {"run.json", *names}


@pytest.mark.parametrize("options", [["--write", "gif"], ["--write"], ["--config", "nowhere.yaml"]])
def test_a_wrong_option_is_told_in_one_line(
    options: list[str], study: Path, output: Path, bundle: Path, run_app: RunApp, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_app("-i", study, "-o", output, "-m", bundle, *options) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("chexmask-u app: ")


@pytest.mark.parametrize(
    ("options", "configured", "environment", "expected"),
    [
        (["--accession", "A1"], "", {"CHEXMASK_U_STUDY": "1.2.3"}, (None, "A1")),
        (["--accession", "A1"], "  study: 1.2.3\n", {}, (None, "A1")),
        ([], "  study: 1.2.3\n", {"CHEXMASK_U_ACCESSION": "A2"}, ("1.2.3", None)),
        ([], "", {"CHEXMASK_U_STUDY": "1.2.4"}, ("1.2.4", None)),
        (["--study", "1.2.5"], "  accession: A3\n", {"CHEXMASK_U_STUDY": "1.2.4"}, ("1.2.5", None)),
    ],
)
def test_the_study_is_the_one_that_was_asked_for_last(
    options: list[str],
    configured: str,
    environment: dict[str, str],
    expected: tuple[str | None, str | None],
    read_settings: Any,
    configuration: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configuration.write_text(f"archive:\n  fetch-from: http://127.0.0.1/dicom-web\n{configured}")
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    archive = read_settings(options)[0].archive
    assert (archive.study_uid, archive.accession_number) == expected


def test_two_names_for_a_study_are_refused(read_settings: Any, configuration: Path) -> None:
    configuration.write_text("archive:\n  fetch-from: http://127.0.0.1/dicom-web\n")
    with pytest.raises(ValueError, match="give one of them"):
        read_settings(["--study", "1.2.3", "--accession", "A1"])


@pytest.mark.parametrize("key", ["allow-plain-http", "tls"])
def test_a_switch_in_words_is_refused(key: str, read_settings: Any, configuration: Path) -> None:
    configuration.write_text(f'archive:\n  {key}: "false"\n')
    with pytest.raises(ValueError, match=f"{key}: must be true or false"):
        read_settings([])


def test_the_command_lines_options_are_the_apps_too(read_settings: Any, configuration: Path) -> None:
    from app.archive_settings import ARCHIVE_KEYS

    assert {option.name.replace("_", "-") for option in fields(ArchiveOptions)} <= set(ARCHIVE_KEYS)
    configuration.write_text("archive:\n  modality: [CR, OT]\n")
    assert read_settings([])[0].archive.modalities == ("CR", "OT")
    assert read_settings(["--modality", "SC", "--modality", "DX"])[0].archive.modalities == ("SC", "DX")


def test_times_and_attempts_are_chosen(read_settings: Any, configuration: Path) -> None:
    configuration.write_text("archive:\n  answer-timeout: 5\n  connect-timeout: 2.5\n  attempts: 2\n")
    options = ["--fetch-from", "http://127.0.0.1/x", "--study", "1.2", "--send-to", "A@b:1", "--answer-timeout", "7"]
    archive = read_settings(options)[0].archive
    for side in (archive.source, archive.target):
        assert (side.timeouts.connect_s, side.timeouts.answer_s) == (2.5, 7.0)
    assert archive.backoff.attempts == 2


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("answer-timeout", "soon", "must be a number"),
        ("answer-timeout", "nan", "is no time to wait"),
        ("answer-timeout", "inf", "is no time to wait"),
        ("connect-timeout", "0", "is no time to wait"),
        ("attempts", "0", "must be a whole number from 1"),
        ("attempts", "1.5", "must be a whole number from 1"),
        ("attempts", "inf", "must be a whole number from 1"),
    ],
)
def test_times_without_an_end_are_refused(
    key: str, value: str, said: str, read_settings: Any, configuration: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        read_settings([f"--{key}", value])
