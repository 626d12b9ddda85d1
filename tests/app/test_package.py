"""The MONAI Application Package: what Docker would be given, and the application started from it without Docker."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import FileDataset
from support.processes.deploy_sdk import NEEDS_SDK
from support.samples.container_tree import Container, build_container
from support.samples.dicom import make_dx, save

import monai_chexmask_u

pytestmark = [pytest.mark.deploy, NEEDS_SDK]

MODEL = "chexmask_u"
INPUT, OUTPUT, LIBRARY = "/var/holoscan/input", "/var/holoscan/output", "/opt/holoscan/lib"
MODELS = "/opt/holoscan/models"
DIGESTS = {"model.pt": "sha256", "model.calibration.pt": "calibration_sha256"}


@pytest.fixture(scope="module")
def context(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Docker would be given, written where there is no Docker and no network."""
    folder = tmp_path_factory.mktemp("package")
    home = folder / "home"
    home.mkdir()
    environment = os.environ | {"PATH": str(home), "HOME": str(home), "HTTPS_PROXY": "http://127.0.0.1:9"}
    command = [sys.executable, str(repository / "scripts" / "map_context.py"), str(folder / "context")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert list(home.iterdir()) == []
    return folder / "context"


@pytest.fixture
def container(context: Path, tmp_path: Path) -> Container:
    """The container as a folder tree with its mounted folders, which a test may break."""
    container = build_container(context, tmp_path / "root")
    for folder in (INPUT, OUTPUT):
        container.path(folder).mkdir(parents=True)
    return container


@pytest.fixture
def image(container: Container) -> FileDataset:
    """The radiograph that is in the container's input folder."""
    dataset = make_dx()
    save(dataset, container.path(INPUT) / "1.dcm")
    return dataset


def manifest(context: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((context / "map" / name).read_text())
    return content


def start(container: Container, folder: Path) -> subprocess.CompletedProcess[str]:
    """Start the application as the package's entry point does."""
    command = json.loads(json.loads(container.path("/etc/holoscan/app.json").read_text())["command"])
    return container.run(command, folder=folder)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_application_manifest_says_how_to_start_it(context: Path) -> None:
    app = manifest(context, "app.json")
    assert json.loads(app["command"]) == ["python3", "/opt/holoscan/app"]
    assert app["version"] == monai_chexmask_u.__version__
    assert (app["sdk"], app["sdkVersion"]) == ("monai-deploy", version("monai-deploy-app-sdk"))
    assert app["input"] == {"path": "input/", "formats": ["file"]}
    assert app["output"] == {"path": "output/", "formats": ["file"]}
    assert app["workingDirectory"] == "/var/holoscan"
    wanted = {
        "HOLOSCAN_APPLICATION": "/opt/holoscan/app",
        "HOLOSCAN_INPUT_PATH": "input/",
        "HOLOSCAN_OUTPUT_PATH": "output/",
        "HOLOSCAN_WORKDIR": "/var/holoscan",
        "HOLOSCAN_MODEL_PATH": MODELS,
        "HOLOSCAN_CONFIG_PATH": "/var/holoscan/app.yaml",
    }
    assert app["environment"].items() >= wanted.items()


def test_the_package_manifest_tells_models_and_resources(context: Path) -> None:
    package = manifest(context, "pkg.json")
    assert package["applicationRoot"] == "/opt/holoscan/app"
    assert package["modelRoot"] == MODELS
    assert package["models"] == {MODEL: f"{MODELS}/{MODEL}"}
    assert package["resources"] == {"cpu": 1, "gpu": 0, "memory": "4Gi"}
    assert package["version"] == monai_chexmask_u.__version__


def test_the_image_has_application_library_model_and_license(
    context: Path, container: Container, repository: Path
) -> None:
    for path in (
        "/opt/holoscan/app/__main__.py",
        f"{LIBRARY}/monai_chexmask_u/py.typed",
        f"{MODELS}/{MODEL}/configs/metadata.json",
        f"{MODELS}/{MODEL}/docs/data_license.txt",
        f"{MODELS}/{MODEL}/LICENSE",
        "/opt/holoscan/docs/LICENSE",
        "/etc/holoscan/pkg.json",
        "/var/holoscan/tools",
    ):
        assert container.path(path).is_file(), path
    assert container.path("/var/holoscan/app.yaml").read_bytes() == (repository / "app" / "app.yaml").read_bytes()
    weights = {path.name: sha256(path) for path in container.path(MODELS).rglob("*.pt")}
    assert weights == {name: sha256(repository / "bundle" / "models" / name) for name in DIGESTS}
    assert not list(context.rglob("__pycache__"))


def test_the_image_installs_what_is_pinned(context: Path, container: Container, repository: Path) -> None:
    pinned = (repository / "app" / "requirements.txt").read_text().splitlines()
    assert container.path("/tmp/requirements.txt").read_text().splitlines() == pinned
    lines = (context / "Dockerfile").read_text().splitlines()
    assert any(line.startswith("RUN pip install") and line.endswith("-r /tmp/requirements.txt") for line in lines)
    assert f"RUN pip install monai-deploy-app-sdk=={version('monai-deploy-app-sdk')}" in lines
    assert f"monai-deploy-app-sdk=={version('monai-deploy-app-sdk')}" in pinned
    assert f'LABEL org.opencontainers.image.version="{monai_chexmask_u.__version__}"' in lines


def test_the_packaged_application_uses_the_packaged_library_and_model(
    container: Container, image: FileDataset, tmp_path: Path
) -> None:
    # The packager puts every folder of the library on the search path, where it must not hide a module of Python.
    (container.path(LIBRARY) / "monai_chexmask_u" / "calendar.py").write_text("raise RuntimeError")
    assert container.run(["python3", "-c", "import calendar"], folder=tmp_path).returncode != 0
    done = start(container, tmp_path)
    assert done.returncode == 0, done.stderr
    output = container.path(OUTPUT)
    written = {path.name for path in output.iterdir()}
    assert written >= {f"{image.SOPInstanceUID}{suffix}" for suffix in (".seg.dcm", ".sr.dcm", ".json")}
    model = json.loads((output / f"{image.SOPInstanceUID}.json").read_text())["model"]
    for name, digest in DIGESTS.items():
        assert model[digest] == sha256(container.path(f"{MODELS}/{MODEL}/models/{name}"))


def test_no_library_but_the_packaged_one_can_be_found(container: Container, image: FileDataset, tmp_path: Path) -> None:
    shutil.rmtree(container.path(LIBRARY))
    done = start(container, tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("chexmask-u app: No module named 'monai_chexmask_u'")


@pytest.mark.parametrize("damage", ["missing", "broken"])
def test_a_package_without_a_sound_model_says_so(
    damage: str, container: Container, image: FileDataset, tmp_path: Path
) -> None:
    named, reason = container.path(MODELS), "there is no weights file here"
    if damage == "missing":
        shutil.rmtree(named)
    else:
        named, reason = named / MODEL / "models" / "model.pt", "not a complete PyTorch weights file"
        named.write_bytes(named.read_bytes()[:1000])
    done = start(container, tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"chexmask-u app: {named}: {reason}")
    assert not list(container.path(OUTPUT).rglob("*.dcm"))


def test_the_packager_reads_no_more_than_its_own_sections(repository: Path, tmp_path: Path) -> None:
    from holoscan_cli.packager.config_reader import ApplicationConfiguration

    config = tmp_path / "app.yaml"
    config.write_text((repository / "app" / "app.yaml").read_text() + "\nanother-section: {key: [value]}\n")
    configuration = ApplicationConfiguration()
    configuration.read(config)
    assert configuration.title() == "Chest radiograph landmarks with uncertainty"


def test_an_existing_folder_is_not_overwritten(repository: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(repository / "scripts" / "map_context.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert done.stderr == f"map_context.py: {tmp_path} is there already; give the path of a new folder\n"
