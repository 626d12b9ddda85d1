from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import pytest
import torch
from support.samples.calibrations import make_calibration

from monai_chexmask_u.files.checksum import sha256_of
from monai_chexmask_u.model import (
    calibration_file,
    default_bundle,
    identify,
    load_calibration,
    load_model,
    model_identity,
    weights_file,
)
from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.checkpoints import CheckpointError, read_checkpoint, write_checkpoint
from monai_chexmask_u.uncertainty.calibration import CalibrationError, write_calibration


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def weights(folder: Path) -> Path:
    return folder / "models" / "model.pt"


def refused(path: Path, names: Path) -> None:
    for load in (load_model, model_identity):
        with pytest.raises(CheckpointError, match=re.escape(str(names))) as error:
            load(path)
        assert "\n" not in str(error.value)


def test_a_bundle_folder_has_name_version_and_checksum(tiny_bundle: Path, tiny_network: HybridGNet) -> None:
    model = load_model(tiny_bundle)
    assert (model.identity.name, model.identity.version) == ("tiny", "1.2.3")
    assert model.identity.sha256 == hashlib.sha256(weights(tiny_bundle).read_bytes()).hexdigest()
    assert model.identity == model_identity(tiny_bundle)
    assert not model.network.training
    image = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(model.network(image), tiny_network(image))


def test_weights_inside_a_bundle_have_its_identity(tiny_bundle: Path) -> None:
    assert model_identity(weights(tiny_bundle)) == model_identity(tiny_bundle)


def test_a_folder_around_one_bundle_will_do(bundle: Path) -> None:
    assert model_identity(bundle.parent) == model_identity(bundle)


@pytest.mark.parametrize("whole_folder", [True, False])
def test_a_lone_file_is_called_by_its_name_and_has_no_version(
    tiny_bundle: Path, tmp_path: Path, whole_folder: bool
) -> None:
    lone = tmp_path / "lone" / "best.pt"
    lone.parent.mkdir()
    shutil.copy(weights(tiny_bundle), lone)
    model = load_model(lone.parent if whole_folder else lone)
    assert (model.identity.name, model.identity.version) == ("best", "unknown")
    assert model.identity.sha256 == model_identity(tiny_bundle).sha256


def test_the_shipped_bundle_is_the_default() -> None:
    assert (default_bundle() / "configs" / "metadata.json").is_file()
    if not weights(default_bundle()).is_file():
        pytest.skip("the shipped weights are not there")
    assert model_identity(default_bundle()).name != "model"


def test_models_bundle_wins_over_other_weights_beside_it(bundle: Path) -> None:
    shutil.copy(weights(bundle), bundle / "models" / "other.pt")
    assert model_identity(bundle).name == "tiny"
    assert weights_file(bundle.parent) == weights(bundle)


def test_a_variant_does_not_stand_in_for_a_bundles_missing_weights(bundle: Path) -> None:
    weights(bundle).rename(bundle / "models" / "model_no_skip.pt")
    refused(bundle, weights(bundle))


def test_a_folder_with_several_bundles_is_refused(bundle: Path) -> None:
    shutil.copytree(bundle, bundle.parent / "another")
    refused(bundle.parent, bundle.parent)


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    refused(tmp_path / "absent.pt", tmp_path / "absent.pt")


@pytest.mark.parametrize("count", [0, 2])
def test_a_folder_without_weights_or_with_several_is_refused(tiny_bundle: Path, tmp_path: Path, count: int) -> None:
    for number in range(count):
        shutil.copy(weights(tiny_bundle), tmp_path / f"{number}.pt")
    refused(tmp_path, tmp_path)
    with pytest.raises(CheckpointError, match=f"found {count}"):
        model_identity(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name": "x"}', b"null", b"\xff\xfe"])
def test_broken_metadata_are_named(bundle: Path, content: bytes) -> None:
    metadata = bundle / "configs" / "metadata.json"
    metadata.write_bytes(content)
    refused(bundle, metadata)


def test_broken_weights_are_named(bundle: Path) -> None:
    weights(bundle).write_bytes(weights(bundle).read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=re.escape(str(weights(bundle)))):
        load_model(bundle)


@pytest.fixture
def calibrated(calibrated_bundle: Path, tmp_path: Path) -> Path:
    """A calibrated bundle that a test may break."""
    return Path(shutil.copytree(calibrated_bundle, tmp_path / "calibrated"))


def test_a_calibration_beside_the_weights_is_found(calibrated: Path) -> None:
    file = calibrated / "models" / "model.calibration.pt"
    assert calibration_file(weights(calibrated)) == file
    checksum = hashlib.sha256(file.read_bytes()).hexdigest()
    for path in (calibrated, weights(calibrated), calibrated / "models", calibrated.parent):
        model = load_model(path)
        assert model.calibration is not None
        assert model.calibration.sha256 == model.identity.calibration_sha256 == checksum
        assert weights_file(path) == weights(calibrated)


@pytest.mark.parametrize(("latent_size", "refinements"), [(16, 3), (64, 0)])
def test_a_calibration_of_another_kind_of_network_is_refused(
    tmp_path: Path, latent_size: int, refinements: int
) -> None:
    file = tmp_path / "model.pt"
    write_checkpoint(HybridGNet(64, latent_size=latent_size, refinements=refinements), file)
    write_calibration(make_calibration(sha256_of(file)), calibration_file(file))
    with pytest.raises(CalibrationError, match=f"^{re.escape(str(calibration_file(file)))}: was made for a network"):
        load_model(file)


def test_a_calibration_can_be_left_aside(calibrated: Path) -> None:
    model = load_model(calibrated, calibrated=False)
    assert (model.calibration, model.identity.calibration_sha256) == (None, None)
    calibration_file(weights(calibrated)).write_bytes(b"broken")
    assert load_model(calibrated, calibrated=False).identity == model.identity


def test_weights_without_a_calibration_have_none(tiny_bundle: Path, calibrated: Path, tmp_path: Path) -> None:
    lone = tmp_path / "lone" / "best.pt"
    lone.parent.mkdir()
    shutil.copy(weights(calibrated), lone)
    # one of another name belongs to other weights
    shutil.copy(calibration_file(weights(calibrated)), lone.with_name("model.calibration.pt"))
    for path in (lone, lone.parent, tiny_bundle):
        model = load_model(path)
        assert (model.calibration, model.identity.calibration_sha256, load_calibration(path)) == (None, None, None)


def test_a_model_is_identified_without_its_network(calibrated: Path, tiny_bundle: Path) -> None:
    identity, calibration = identify(calibrated)
    assert calibration is not None
    assert identity == load_model(calibrated).identity
    assert identity.calibration_sha256 == calibration.sha256
    assert identify(tiny_bundle) == (load_model(tiny_bundle).identity, None)


@pytest.mark.parametrize("content", [b"", b"no calibration"])
def test_a_broken_calibration_is_named(calibrated: Path, content: bytes) -> None:
    calibration_file(weights(calibrated)).write_bytes(content)
    with pytest.raises(CalibrationError, match=re.escape(str(calibration_file(weights(calibrated))))):
        load_model(calibrated)


def test_other_weights_need_their_own_calibration(calibrated: Path, tiny_bundle: Path) -> None:
    shutil.copy(weights(tiny_bundle), weights(calibrated))
    with pytest.raises(CalibrationError, match="other weights"):
        load_model(calibrated)


def test_damaged_weights_are_told_before_their_calibration(calibrated: Path) -> None:
    weights(calibrated).write_bytes(weights(calibrated).read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=re.escape(str(weights(calibrated)))):
        load_model(calibrated)


def test_a_calibration_is_no_weights_file(calibrated: Path) -> None:
    weights(calibrated).unlink()
    with pytest.raises(CheckpointError, match="found 0"):
        load_model(calibrated / "models")
    with pytest.raises(CheckpointError, match=re.escape("model.calibration.pt")):
        load_model(calibrated / "models" / "model.calibration.pt")


def test_weights_that_are_replaced_while_they_are_read_are_not_taken_for_the_new_ones(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path) -> HybridGNet:
        network = read_checkpoint(path)
        write_checkpoint(HybridGNet(64), path)
        return network

    monkeypatch.setattr("monai_chexmask_u.model.read_checkpoint", read)
    with pytest.raises(CheckpointError, match=r"model\.pt: the file has changed while it was read; try again"):
        load_model(bundle)


def test_a_model_that_the_system_does_not_give_is_told_in_one_line(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckpointError, match=r"the model cannot be read \(the name is too long for this disk: "):
        load_model(tmp_path / ("x" * 300))

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(CheckpointError, match=r"the model cannot be read \(Permission denied\); check its name"):
        load_model(bundle)
