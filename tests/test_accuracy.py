"""What the shipped weights reach on real radiographs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.metrics import DiceMetric

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, RIGHT_LUNG
from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.files.checksum import sha256_of
from monai_chexmask_u.model import default_bundle, load_model
from monai_chexmask_u.networks.network_image import fit_frame, to_network_image
from monai_chexmask_u.reading import list_inputs, read_radiograph
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.transforms import LandmarksToMasksd
from monai_chexmask_u.transforms.masks import MASK_CHANNELS


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter(load_model(), device="cpu")


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    """What the training record says of the shipped weights."""
    content: dict[str, Any] = json.loads((default_bundle() / "docs" / "training_record.json").read_text())
    return content


@pytest.mark.parametrize("name", ["model.pt", "model_no_skip.pt"])
def test_accuracy_on_the_validation_images_is_what_the_record_says(
    name: str, record: dict[str, Any], shared_data: Path
) -> None:
    weights = default_bundle() / "models" / name
    assert record["weights"][name]["sha256"] == sha256_of(weights)
    segmenter = Segmenter(load_model(weights), device="cpu")
    to_masks = LandmarksToMasksd(keys=["pred", "label"], label_key="label")
    dice = DiceMetric(include_background=True, reduction="mean_batch")
    squared, distances = [], []
    for item in landmark_datalist(shared_data / "jsrt" / "val"):
        radiograph = read_radiograph(Path(item["image"]))
        frame = fit_frame(radiograph, segmenter.network.image_size)
        with torch.no_grad():
            image = to_network_image(torch.from_numpy(radiograph.pixels), frame)
            pair: dict[Hashable, Any] = {
                "pred": segmenter.network(image[None])[0],
                "label": torch.from_numpy(item["label"] / 1024),
            }
        difference = (pair["pred"] - torch.from_numpy(frame.to_network(item["label"]))) * 1024
        squared.append(difference.square().mean().item())
        distances.append(difference.norm(dim=1).mean().item())
        masks = to_masks(pair)
        dice(masks["pred"][None], masks["label"][None])
    overlap = dict(zip(MASK_CHANNELS, dice.aggregate().tolist(), strict=True))
    metrics = record["weights"][name]["evaluation"]["metrics"]
    assert metrics["dice_lungs"]["mean"] == pytest.approx(overlap["lungs"], abs=1e-3)
    assert metrics["dice_heart"]["mean"] == pytest.approx(overlap["heart"], abs=1e-3)
    assert metrics["mse"]["mean"] == pytest.approx(np.mean(squared), rel=0.02)
    assert metrics["distance_px1024"]["mean"] == pytest.approx(np.mean(distances), rel=0.02)


def test_documents_quote_the_record(record: dict[str, Any], repository: Path) -> None:
    metrics = record["weights"]["model.pt"]["evaluation"]["metrics"]
    quoted = [f"{metrics[name]['mean']:.3f}" for name in ("dice_lungs", "dice_heart")] + [
        f"{metrics['mse']['mean']:.1f}"
    ]
    for document in (repository / "README.md", default_bundle() / "docs" / "README.md"):
        text = document.read_text(encoding="utf-8")
        assert [figure for figure in quoted if figure not in text] == []


def test_spread_of_the_samples_is_no_calibrated_error(segmenter: Segmenter, shared_data: Path) -> None:
    ratios = []
    for item in landmark_datalist(shared_data / "jsrt" / "val"):
        segmentation = segmenter.segment(read_radiograph(Path(item["image"])))
        ratios.append(segmentation.std.mean() / np.sqrt(np.square(segmentation.landmarks - item["label"]).mean()))
    assert np.median(ratios) < 0.5  # as the documents warn


def test_organs_of_a_real_chest_lie_where_they_belong(segmenter: Segmenter, chest_cr: Path) -> None:
    segmentation = segmenter.segment(read_radiograph(chest_cr))
    right, left, heart = (segmentation.contour(organ).mean(axis=0) for organ in (RIGHT_LUNG, LEFT_LUNG, HEART))
    assert right[0] < heart[0] < left[0]
    assert heart[1] > max(right[1], left[1])
    assert 0.45 < segmentation.cardiothoracic_ratio.value < 0.55
    assert all(0.08 < segmentation.mask(organ).mean() < 0.25 for organ in (RIGHT_LUNG, LEFT_LUNG, HEART))


def test_a_radiograph_stored_mirrored_keeps_its_right_lung(segmenter: Segmenter, chest_cr: Path) -> None:
    radiograph = read_radiograph(chest_cr)
    turned = dataclasses.replace(radiograph, pixels=np.ascontiguousarray(radiograph.pixels[:, ::-1]), mirrored=True)
    expected, actual = segmenter.segment(radiograph), segmenter.segment(turned)
    mirrored = np.stack([radiograph.shape[1] - 1 - actual.landmarks[:, 0], actual.landmarks[:, 1]], axis=1)
    np.testing.assert_allclose(mirrored, expected.landmarks, atol=0.1)


@pytest.mark.parametrize("folder", ["nih", "hannover"])
def test_lungs_are_never_swapped_on_radiographs_of_other_scanners(
    segmenter: Segmenter, shared_data: Path, folder: str
) -> None:
    for path in list_inputs([shared_data / folder])[::8]:
        segmentation = segmenter.segment(read_radiograph(path))
        right, left = (segmentation.contour(organ)[:, 0] for organ in (RIGHT_LUNG, LEFT_LUNG))
        assert right.mean() < left.mean()
        assert right.max() < left.max()
