"""The zip in an environment of its own: MONAI and the packages that the metadata name, and nothing of this project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from install_lock import UV, uv_environment, uv_sources
from PIL import Image
from support.samples.bundle_zip import NAME, unpack_bundle

from monai_chexmask_u.model import load_model
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.writers.record import segmentation_record

pytestmark = pytest.mark.fresh
COMMON = ["--meta_file", "configs/metadata.json", "--logging_file", "configs/logging.conf"]


@pytest.fixture(scope="module")
def bundle(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_bundle(repository, tmp_path_factory.mktemp("zip"))


@pytest.fixture(scope="module")
def python(bundle: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment, as the model zoo makes one for a bundle."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    own = {"monai": metadata["monai_version"], "numpy": metadata["numpy_version"]}
    packages = [f"{name}=={version}" for name, version in (own | metadata["required_packages_version"]).items()]
    python = folder / "bin" / "python"
    torch = f"torch=={metadata['pytorch_version']}"
    # Which build of PyTorch is at hand, pip tells best (Makefile); uv installs it quicker.
    fetched = ["pip", "download", "--quiet", "--no-deps", "--dest", str(folder / "wheels"), torch]
    if subprocess.run([str(python), "-m", *fetched], capture_output=True).returncode == 0:
        packages = [str(next((folder / "wheels").glob("torch-*.whl"))), *packages]
    else:
        packages = [torch, *packages]
    install(python, repository, *packages)
    return python


def install(python: Path, repository: Path, *packages: str) -> None:
    """Install packages by uv where it can, which is quicker, or by pip; skip the test where there is no index."""
    wanted = ["--quiet", "--constraint", str(repository / "constraints.txt"), *packages]
    if Path(UV[0]).is_file():
        command = [*UV, "install", "--python", str(python), *uv_sources(), *wanted]
        if subprocess.run(command, env=uv_environment(), capture_output=True).returncode == 0:
            return
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", *wanted]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and "No matching distribution" in done.stderr:
        pytest.skip("packages cannot be installed here: no package index can be reached")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def images(chest_cr: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    shutil.copy(chest_cr, folder / "radiograph.dcm")
    pixels = (read_radiograph(chest_cr).pixels * 255).astype(np.uint8)[::2, ::2]
    Image.fromarray(pixels).save(folder / "image.png")
    return folder


def call(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the interpreter without anything that this process would add to its path."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    command = [str(python), "-W", "ignore", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def run_bundle(python: Path, bundle: Path, configs: str, *options: str) -> subprocess.CompletedProcess[str]:
    return call(python, "-m", "monai.bundle", "run", "--config_file", configs, *COMMON, *options, cwd=bundle)


def test_the_environment_has_nothing_of_this_project(python: Path, tmp_path: Path) -> None:
    done = call(python, "-c", "import monai_chexmask_u", cwd=tmp_path)
    assert "No module named 'monai_chexmask_u'" in done.stderr


def test_inference_gives_what_the_command_line_gives(python: Path, bundle: Path, images: Path, tmp_path: Path) -> None:
    options = ["--dataset_dir", str(images), "--output_dir", str(tmp_path), "--samples", "20", "--seed", "4"]
    done = run_bundle(python, bundle, "configs/inference.json", *options)
    assert done.returncode == 0, done.stderr
    assert "the bundle's own" in done.stdout + done.stderr
    segmenter = Segmenter(load_model(), num_samples=20, seed=4, device="cpu")
    for path in sorted(images.iterdir()):
        radiograph = read_radiograph(path)
        expected = json.loads(json.dumps(segmentation_record(segmenter.segment(radiograph), radiograph)))
        record = json.loads((tmp_path / f"{path.stem}.json").read_text())
        for key in ("model", "samples", "image"):
            assert record[key] == expected[key]
        assert record["reliability"]["verdict"] == expected["reliability"]["verdict"] == "accept"
        for ours, theirs in zip(record["landmarks"], expected["landmarks"], strict=True):
            assert [ours[key] for key in ("x", "y", "radius90")] == pytest.approx(
                [theirs[key] for key in ("x", "y", "radius90")], abs=1e-2
            )
    assert (tmp_path / "radiograph.sr.dcm").is_file()


def test_the_other_configurations_and_options_do_what_they_say(
    python: Path, bundle: Path, images: Path, tmp_path: Path
) -> None:
    folders = ["--dataset_dir", str(images), "--output_dir", str(tmp_path)]
    both = "['configs/inference.json','configs/inference_dicom.json']"
    done = run_bundle(python, bundle, both, *folders, "--samples", "5", "--skip_connections", "false")
    assert done.returncode == 0, done.stderr
    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} == {"radiograph"}, "images are no DICOM study"
    assert {path.suffixes[0] for path in tmp_path.iterdir()} >= {".json", ".seg", ".pr", ".pdf", ".sr"}
    weights = json.loads((tmp_path / "radiograph.json").read_text())["model"]["sha256"]
    assert weights == load_model(bundle / "models" / "model_no_skip.pt").identity.sha256
    done = run_bundle(python, bundle, "['configs/inference.json','configs/inference_trt.json']", *folders)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith(("TensorRT is not installed;", "TensorRT needs"))
    done = run_bundle(python, bundle, "configs/inference.json", *folders, "--formats", "['json','bmp']")
    assert done.returncode == 1
    assert "unknown output format bmp; choose from json" in done.stderr


def test_python_finds_the_bundles_library_from_any_folder(
    python: Path, bundle: Path, images: Path, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"""
from monai.bundle import ConfigWorkflow, load
root, configs = {str(bundle)!r}, {str(bundle / "configs")!r}
network = load({NAME!r}, bundle_dir={str(bundle.parent)!r}, args_file={{"bundle_root": root}})
print(sum(parameter.numel() for parameter in network.parameters()))
workflow = ConfigWorkflow(
    config_file=configs + "/inference.json", meta_file=configs + "/metadata.json",
    logging_file=configs + "/logging.conf", workflow_type="inference", bundle_root=root, dataset_dir={str(images)!r},
)
workflow.initialize()
print("missing:", workflow.check_properties())
"""
    )
    done = call(python, str(script), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    network = load_model().network
    assert str(sum(parameter.numel() for parameter in network.parameters())) in done.stdout.split()
    assert "missing: []" in done.stdout


def test_the_zoos_commands_run_on_the_zip(python: Path, bundle: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        """
import sys, torch
from monai.bundle import ckpt_export, verify_net_in_out
files = {"meta_file": "configs/metadata.json", "config_file": "configs/inference.json"}
verify_net_in_out(net_id="network_def", **files)
ckpt_export(net_id="network_def", filepath=sys.argv[1], ckpt_file="models/model.pt", **files)
print(tuple(torch.jit.load(sys.argv[1])(torch.rand(1, 1, 256, 256)).shape))
"""
    )
    environment_path = f"import sys; sys.path.insert(0, '.'); sys.argv[1:] = [{str(tmp_path / 'model.ts')!r}]; "
    done = call(python, "-c", environment_path + f"exec(open({str(script)!r}).read())", cwd=bundle)
    assert done.returncode == 0, done.stderr
    assert "(1, 120, 2)" in done.stdout


def test_training_and_evaluation_run_from_the_zip(
    python: Path, bundle: Path, landmark_data: Path, tmp_path: Path
) -> None:
    small = ["--image_size", "64", "--num_workers", "0", "--batch_size", "2"]
    runs = str(tmp_path / "runs")
    data = ["--dataset_dir", str(landmark_data)]
    done = run_bundle(python, bundle, "configs/train.json", *data, "--ckpt_dir", runs, "--epochs", "1", *small)
    assert done.returncode == 0, done.stderr[-3000:]
    weights = next((tmp_path / "runs").glob("*.pt"))
    both = "['configs/train.json','configs/evaluate.json']"
    options = ["--val_dir", str(landmark_data / "val"), "--output_dir", str(tmp_path / "out"), "--num_workers", "0"]
    done = run_bundle(python, bundle, both, *data, *options, "--ckpt_path", str(bundle / "models" / "model.pt"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["images"] == 4
    assert weights.stat().st_size > 0
