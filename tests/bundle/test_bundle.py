from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from dicom_samples import make_dx, phantom_landmarks, save
from PIL import Image

pytest.importorskip("ignite", reason="the bundle's engines need pytorch-ignite")
from monai.bundle import ConfigWorkflow, ckpt_export, run, verify_metadata, verify_net_in_out

from monai_chexmask_u.model import default_bundle
from monai_chexmask_u.networks.checkpoints import read_checkpoint
from monai_chexmask_u.reading import read_radiograph

BUNDLE = default_bundle()
CONFIGS = BUNDLE / "configs"
METADATA = str(CONFIGS / "metadata.json")


@pytest.fixture
def landmark_data(tmp_path: Path) -> Path:
    """Four images of 64 pixels with landmarks, as training and as validation set."""
    for part in ("train", "val"):
        images = tmp_path / "data" / part / "images"
        images.mkdir(parents=True)
        points = np.stack([phantom_landmarks(64, 64)] * 4).astype(np.float32)
        names = [f"{part}{number}" for number in range(4)]
        generator = np.random.default_rng(0)
        for name in names:
            Image.fromarray(generator.integers(0, 255, (64, 64), dtype=np.uint8)).save(images / f"{name}.png")
        np.savez(images.parent / "landmarks.npz", names=np.array(names), landmarks=points)
    return tmp_path / "data"


def test_metadata_follows_the_zoos_schema(shared_data: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text((shared_data / "monai_bundle_schema" / "meta_schema_20240725.json").read_text())
    verify_metadata(meta_file=METADATA, filepath=schema)


def test_metadata_names_the_packages_version_and_the_shipped_image_size() -> None:
    from monai_chexmask_u import __version__

    metadata = json.loads(Path(METADATA).read_text())
    assert metadata["required_packages_version"]["monai-chexmask-u"] == __version__
    assert metadata["version"] in metadata["changelog"]
    shipped = read_checkpoint(BUNDLE / "models" / "model.pt")
    assert metadata["network_data_format"]["inputs"]["image"]["spatial_shape"] == [shipped.image_size] * 2
    for name in ("inference.json", "train.json"):
        assert json.loads((CONFIGS / name).read_text())["image_size"] == shipped.image_size


@pytest.mark.parametrize(("files", "kind"), [(["inference.json"], "inference"), (["train.json"], "train")])
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
    image = torch.rand(1, 1, 512, 512, generator=torch.Generator().manual_seed(0))
    network = read_checkpoint(BUNDLE / "models" / "model.pt")
    torch.testing.assert_close(torch.jit.load(exported)(image), network(image), rtol=0, atol=1e-4)


def test_inference_on_dicom_and_pictures_equals_the_command_line(tmp_path: Path) -> None:
    from monai_chexmask_u.model import load_model
    from monai_chexmask_u.segmenter import Segmenter
    from monai_chexmask_u.writers.record import segmentation_record

    images, results = tmp_path / "in", tmp_path / "out"
    images.mkdir()
    save(make_dx(rows=300, columns=260), images / "chest.dcm")
    (images / "broken.dcm").write_bytes((images / "chest.dcm").read_bytes()[:2000])
    Image.fromarray((read_radiograph(images / "chest.dcm").pixels * 255).astype(np.uint8)).save(images / "film.png")
    run(
        config_file=str(CONFIGS / "inference.json"),
        meta_file=METADATA,
        bundle_root=str(BUNDLE),
        dataset_dir=str(images),
        output_dir=str(results),
    )
    names = {path.name for path in results.iterdir()}
    assert {"chest.json", "chest.seg.dcm", "chest.sr.dcm", "film.json", "film.overlay.png"} <= names
    assert not any(name.startswith("broken") for name in names)
    radiograph = read_radiograph(images / "chest.dcm")
    expected = segmentation_record(Segmenter(load_model()).segment(radiograph), radiograph)
    assert json.loads((results / "chest.json").read_text()) == json.loads(json.dumps(expected))


def _train(data: Path, folder: Path, epochs: int, **changes: object) -> None:
    run(
        config_file=str(CONFIGS / "train.json"),
        meta_file=METADATA,
        bundle_root=str(BUNDLE),
        dataset_dir=str(data),
        ckpt_dir=str(folder),
        image_size=64,
        epochs=epochs,
        val_interval=1,
        num_workers=0,
        amp=False,
        **changes,
    )


def test_training_writes_checkpoints_resumes_and_is_evaluated(landmark_data: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    _train(landmark_data, runs, epochs=1)
    assert read_checkpoint(runs / "best.pt").image_size == 64
    assert (runs / "checkpoint_epoch=1.pt").is_file()
    _train(landmark_data, runs, epochs=2, resume=True)
    state = torch.load(runs / "checkpoint_epoch=2.pt", weights_only=True)
    assert state["trainer"]["iteration"] == 2  # one more batch of four after the first epoch's one
    run(
        config_file=[str(CONFIGS / "train.json"), str(CONFIGS / "evaluate.json")],
        meta_file=METADATA,
        bundle_root=str(BUNDLE),
        dataset_dir=str(landmark_data),
        image_size=64,
        ckpt_path=str(runs / "best.pt"),
        output_dir=str(tmp_path / "eval"),
    )
    with (tmp_path / "eval" / "val_mse_px1024_raw.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 4
    metrics = (tmp_path / "eval" / "metrics.csv").read_text()
    assert {"val_mse_px1024", "dice_lungs", "dice_heart"} <= {line.split(",")[0] for line in metrics.splitlines()}


def test_training_twice_with_one_seed_gives_the_same_weights(landmark_data: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        _train(landmark_data, tmp_path / name, epochs=1)
    first, second = (read_checkpoint(tmp_path / name / "best.pt").state_dict() for name in ("first", "second"))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=0)


def test_log_configuration_silences_what_may_quote_the_patient(capfd: pytest.CaptureFixture[str]) -> None:
    script = (
        "import logging.config, sys; logging.config.fileConfig(sys.argv[1]);"
        "logging.getLogger('pydicom').warning('Doe^John'); logging.getLogger('monai').warning('shown')"
    )
    subprocess.run([sys.executable, "-c", script, CONFIGS / "logging.conf"], check=True)
    captured = capfd.readouterr()
    assert "Doe" not in captured.out + captured.err
    assert "shown" in captured.out
