"""Scoring of images that nobody has annotated: what is noted, what is skipped, and what fails."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("monailabel")

from support.samples.learning import noise_radiograph

if TYPE_CHECKING:
    from label.images.folder_datastore import ChestLocalDatastore
    from label.tasks.scoring import LandmarkUncertaintyScoring


@pytest.fixture
def datastore(tmp_path: Path) -> ChestLocalDatastore:
    from label.images.folder_datastore import ChestLocalDatastore

    studies = tmp_path / "studies"
    studies.mkdir()
    for seed in range(3):
        noise_radiograph(studies / f"radiograph{seed}.png", seed)
    (studies / "text.png").write_text("this is no image")
    return ChestLocalDatastore(studies)


@pytest.fixture
def scoring(tmp_path: Path, calibrated_bundle: Path) -> LandmarkUncertaintyScoring:
    from label.tasks.latents import LatentStore
    from label.tasks.model_versions import ModelStore
    from label.tasks.scoring import LandmarkUncertaintyScoring

    store = ModelStore(tmp_path / "model", calibrated_bundle)
    return LandmarkUncertaintyScoring(store, LatentStore(tmp_path / "latents", "studies"))


def test_every_image_gets_the_segmenter_s_score_and_a_bad_one_its_reason(
    scoring: LandmarkUncertaintyScoring, datastore: ChestLocalDatastore
) -> None:
    from monai_chexmask_u.reading import read_radiograph
    from monai_chexmask_u.segmenter import Segmenter

    result = scoring({}, datastore)
    assert (result["total"], result["executed"], result["failed"], result["skipped"]) == (4, 4, 1, 0)
    model = scoring.store.load()
    for name in ("radiograph0", "radiograph1", "radiograph2"):
        info = datastore.get_image_info(name)
        expected = Segmenter(model).segment(read_radiograph(Path(datastore.get_image_uri(name))))
        assert info["landmark_uncertainty"] == pytest.approx(expected.score, rel=1e-6)
        assert (info["verdict"], info["reasons"]) == (
            expected.reliability.verdict,
            list(expected.reliability.reasons),
        )
        assert info["model_sha256"] == model.identity.sha256
    bad = datastore.get_image_info("text")
    assert bad["landmark_uncertainty"] is None
    assert bad["landmark_uncertainty_error"]["code"] == "not_an_image"
    latents = scoring.latents.of(model.identity.sha256)
    assert np.isfinite([latents[name] for name in ("radiograph0", "radiograph1", "radiograph2")]).all()
    assert np.isnan(latents["text"]).all()


def test_what_the_model_has_seen_is_skipped_until_there_is_another_one(
    scoring: LandmarkUncertaintyScoring, datastore: ChestLocalDatastore, tmp_path: Path
) -> None:
    import torch

    from monai_chexmask_u.networks import HybridGNet
    from monai_chexmask_u.networks.checkpoints import write_checkpoint

    scoring({}, datastore)
    assert scoring({}, datastore)["executed"] == 0
    noise_radiograph(Path(datastore.get_image_uri("radiograph0")).with_name("new.png"), 9)
    assert scoring.pending(datastore) == ["new"]
    assert scoring({}, datastore)["executed"] == 1
    assert scoring({"again": True, "max_samples": 2}, datastore)["executed"] == 2
    before = datastore.get_image_info("radiograph0")["landmark_uncertainty"]
    torch.manual_seed(7)
    write_checkpoint(HybridGNet(64, refinements=3), tmp_path / "other.pt")
    scoring.store.publish(tmp_path / "other.pt", {})
    assert scoring({}, datastore)["executed"] == 5
    assert datastore.get_image_info("radiograph0")["landmark_uncertainty"] != before


def test_an_annotated_image_keeps_its_notes_and_gets_its_place(
    scoring: LandmarkUncertaintyScoring, datastore: ChestLocalDatastore, tmp_path: Path
) -> None:
    noise_radiograph(tmp_path / "mask.png", 0)
    datastore.save_label("radiograph1", str(tmp_path / "mask.png"), "final", {})
    scoring({}, datastore)
    assert "landmark_uncertainty" not in datastore.get_image_info("radiograph1")
    assert "radiograph1" in scoring.latents.of(scoring.store.load().identity.sha256)
    assert not scoring.pending(datastore)


def test_an_image_that_could_not_be_had_is_tried_again(
    scoring: LandmarkUncertaintyScoring, datastore: ChestLocalDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(image_id: str) -> str:
        raise ConnectionError(111, "Connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(datastore, "get_image_uri", nothing)
        assert scoring({}, datastore)["failed"] == 4
    assert datastore.get_image_info("radiograph0")["landmark_uncertainty_error"]["code"] == "not_readable"
    assert scoring({}, datastore)["executed"] == 4
    info = datastore.get_image_info("radiograph0")
    assert info["landmark_uncertainty_error"] is None
    assert info["landmark_uncertainty"] > 0


def test_what_was_scored_is_kept_when_the_scoring_is_stopped(
    scoring: LandmarkUncertaintyScoring, datastore: ChestLocalDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import label.tasks.scoring

    class Stopped(BaseException):
        pass

    from monai_chexmask_u.reading import read_radiograph

    def reading(path: Path) -> object:
        if path.stem == "radiograph2":
            raise Stopped
        return read_radiograph(path)

    monkeypatch.setattr(label.tasks.scoring, "SECONDS_BETWEEN_WRITES", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(label.tasks.scoring, "read_radiograph", reading)
        with pytest.raises(Stopped):
            scoring({}, datastore)
    assert scoring.pending(datastore) == ["radiograph2", "text"]


def test_a_damaged_file_of_latent_means_is_made_anew(
    scoring: LandmarkUncertaintyScoring, datastore: ChestLocalDatastore
) -> None:
    scoring({}, datastore)
    (file,) = scoring.latents.folder.glob("*.npz")
    file.write_bytes(b"PK\x03\x04 damaged")
    assert scoring({}, datastore)["executed"] == 4
    assert len(scoring.latents.of(scoring.store.load().identity.sha256)) == 4


def test_latent_means_of_other_studies_are_apart(tmp_path: Path) -> None:
    from label.tasks.latents import LatentStore

    one, other = (LatentStore(tmp_path, name) for name in ("one", "other"))
    one.add("ab" * 32, {"radiograph": np.ones(64, np.float32)})
    one.add("ab" * 32, {"more": np.zeros(64, np.float32)})
    assert sorted(one.of("ab" * 32)) == ["more", "radiograph"]
    assert other.of("ab" * 32) == one.of("cd" * 32) == {}
