from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.samples.dicom import make_dx, save

pytest.importorskip("ignite", reason="the bundle's engines need pytorch-ignite")
from monai.bundle import ConfigParser, ConfigWorkflow, ckpt_export, onnx_export, run, verify_metadata, verify_net_in_out

from monai_chexmask_u.model import calibration_file, default_bundle, load_model
from monai_chexmask_u.networks.checkpoints import read_checkpoint
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.writers.record import segmentation_record

BUNDLE = default_bundle()
CONFIGS = BUNDLE / "configs"
METADATA = str(CONFIGS / "metadata.json")


def test_metadata_follows_the_zoos_schema(shared_data: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text((shared_data / "monai_bundle_schema" / "meta_schema_20240725.json").read_text())
    verify_metadata(meta_file=METADATA, filepath=schema)


def test_metadata_tells_its_changes_and_the_shipped_image_size() -> None:
    metadata = json.loads(Path(METADATA).read_text())
    assert metadata["version"] in metadata["changelog"]
    shipped = read_checkpoint(BUNDLE / "models" / "model.pt")
    assert metadata["network_data_format"]["inputs"]["image"]["spatial_shape"] == [shipped.image_size] * 2
    for name in ("inference.json", "train.json"):
        parser = ConfigParser()
        parser.read_config(str(CONFIGS / name))
        parser["bundle_root"] = str(BUNDLE)
        assert parser.get_parsed_content("image_size") == shipped.image_size
        assert parser.get_parsed_content("network_def").refinements == shipped.refinements


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["inference.json"], "inference"),
        (["inference.json", "inference_dicom.json"], "inference"),
        (["train.json"], "train"),
        (["train.json", "evaluate.json"], "train"),
    ],
)
def test_configurations_have_the_properties_that_monai_expects(
    files: list[str], kind: str, landmark_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    save(make_dx(rows=80, columns=64), tmp_path / "in" / "chest.dcm")
    workflow = ConfigWorkflow(
        config_file=[str(CONFIGS / name) for name in files],
        meta_file=METADATA,
        workflow_type=kind,
        bundle_root=str(BUNDLE),
        dataset_dir=str(landmark_data if kind == "train" else tmp_path / "in"),
        output_dir=str(tmp_path / "out"),
        ckpt_dir=str(tmp_path / "runs"),
    )
    workflow.initialize()
    assert workflow.check_properties() == []


def test_network_takes_and_gives_what_the_metadata_says() -> None:
    verify_net_in_out(net_id="network_def", meta_file=METADATA, config_file=str(CONFIGS / "inference.json"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_bundle_exports_to_torchscript_and_gives_the_same(tmp_path: Path) -> None:
    exported = tmp_path / "model.ts"
    ckpt_export(
        net_id="network_def",
        filepath=str(exported),
        ckpt_file=str(BUNDLE / "models" / "model.pt"),
        meta_file=METADATA,
        config_file=str(CONFIGS / "inference.json"),
    )
    network = read_checkpoint(BUNDLE / "models" / "model.pt")
    image = torch.rand(1, 1, network.image_size, network.image_size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(torch.jit.load(exported)(image), network(image), rtol=0, atol=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_bundle_exports_to_onnx_and_gives_the_same(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="the ONNX exporter of torch needs onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    exported = tmp_path / "model.onnx"
    onnx_export(
        net_id="network_def",
        filepath=str(exported),
        ckpt_file=str(BUNDLE / "models" / "model.pt"),
        meta_file=METADATA,
        config_file=str(CONFIGS / "inference.json"),
    )
    network = read_checkpoint(BUNDLE / "models" / "model.pt")
    image = torch.rand(1, 1, network.image_size, network.image_size, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(exported)
    (found,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(found), network(image), rtol=0, atol=1e-4)


def infer(images: Path, results: Path, **settings: Any) -> None:
    run(
        config_file=str(CONFIGS / "inference.json"),
        meta_file=METADATA,
        bundle_root=str(BUNDLE),
        dataset_dir=str(images),
        output_dir=str(results),
        **settings,
    )


def assert_equals_the_segmenter(image: Path, record: Path, model: Path | None, **settings: Any) -> None:
    radiograph = read_radiograph(image)
    expected = segmentation_record(Segmenter(load_model(model), **settings).segment(radiograph), radiograph)
    assert json.loads(record.read_text()) == json.loads(json.dumps(expected))


def test_inference_on_dicom_and_images_equals_the_command_line(tmp_path: Path) -> None:
    images, results = tmp_path / "in", tmp_path / "out"
    images.mkdir()
    save(make_dx(rows=300, columns=260), images / "chest.dcm")
    (images / "broken.dcm").write_bytes((images / "chest.dcm").read_bytes()[:2000])
    Image.fromarray((read_radiograph(images / "chest.dcm").pixels * 255).astype(np.uint8)).save(
        images / "radiograph.png"
    )
    infer(images, results)
    names = {path.name for path in results.iterdir()}
    assert {"chest.json", "chest.seg.dcm", "chest.sr.dcm", "radiograph.json", "radiograph.overlay.png"} <= names
    assert not any(name.startswith("broken") for name in names)
    assert_equals_the_segmenter(images / "chest.dcm", results / "chest.json", None)


@pytest.mark.parametrize("calibrated", [True, False])
def test_inference_uses_the_calibration_beside_the_weights(
    calibrated_bundle: Path, tmp_path: Path, calibrated: bool
) -> None:
    bundle = Path(shutil.copytree(calibrated_bundle, tmp_path / "bundle"))
    weights = bundle / "models" / "model.pt"
    if not calibrated:
        calibration_file(weights).unlink()
    image = tmp_path / "in" / "chest.dcm"
    image.parent.mkdir()
    save(make_dx(rows=90, columns=70, spacing=(0.3, 0.2)), image)
    settings = {"samples": 4, "seed": 3}
    infer(image.parent, tmp_path / "out", image_size=64, ckpt_path=str(weights), formats=["json"], **settings)
    record = tmp_path / "out" / "chest.json"
    assert (json.loads(record.read_text())["reliability"]["verdict"] == "accept") == calibrated
    assert_equals_the_segmenter(image, record, bundle, num_samples=4, seed=3)


def test_log_configuration_silences_what_may_quote_the_patient(capfd: pytest.CaptureFixture[str]) -> None:
    script = (
        "import logging.config, sys; logging.config.fileConfig(sys.argv[1]);"
        "logging.getLogger('pydicom').warning('Doe^John'); logging.getLogger('monai').warning('shown')"
    )
    subprocess.run([sys.executable, "-c", script, CONFIGS / "logging.conf"], check=True)
    captured = capfd.readouterr()
    assert "Doe" not in captured.out + captured.err
    assert "shown" in captured.out
