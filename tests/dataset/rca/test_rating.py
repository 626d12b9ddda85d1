from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from support.samples.dicom import chest_phantom, phantom_landmarks

from monai_chexmask_u.anatomy import HEART
from monai_chexmask_u.annotations.landmark_files import read_arrays, write_arrays
from monai_chexmask_u.dataset.rca import rating, registration
from monai_chexmask_u.dataset.rca.rating import Rating, ReferenceSet, label_map, load_references, overlap, rate
from monai_chexmask_u.dataset.rca.registration import REGISTRATION_SETTINGS, register, require_itk
from monai_chexmask_u.geometry import fill_polygon
from monai_chexmask_u.model import Model, load_model
from monai_chexmask_u.segmenter import Segmenter

SIZE = 256
Floats = NDArray[np.float64]
Image = NDArray[np.float32]


@pytest.fixture(autouse=True)
def _itk() -> None:
    pytest.importorskip("itk")


def phantom(matrix: Floats | None = None) -> tuple[Image, Floats]:
    """Return a thorax moved by ``(2, 3)`` in the network frame, and its landmarks there."""
    image, points = chest_phantom(SIZE, SIZE), phantom_landmarks(SIZE, SIZE) / SIZE
    if matrix is None:
        return image, points
    back = np.linalg.inv(np.vstack([matrix, [0.0, 0.0, 1.0]]))[:2]
    linear, offset = back[::-1, 1::-1], back[::-1, 2] * SIZE  # arrays are (row, column)
    moved: Image = ndimage.affine_transform(image, linear, offset, order=1, mode="nearest")
    return moved, points @ matrix[:, :2].T + matrix[:, 2]


def references_of(*radiographs: tuple[Image, Floats]) -> ReferenceSet:
    images = np.stack([rating._shrunk(image) for image, _ in radiographs])
    digests = tuple(rating._digest(image) for image, _ in radiographs)
    latent = np.arange(len(radiographs), dtype=np.float64)[:, None] * np.ones(4)
    names = tuple(f"radiograph{number}" for number in range(len(radiographs)))
    return ReferenceSet(
        names, images, np.stack([points for _, points in radiographs]), latent, digests, radiographs[0][0].shape[0]
    )


def dimmed(item: tuple[Image, Floats]) -> tuple[Image, Floats]:
    """Return the same radiograph with other gray levels, so that it is no duplicate."""
    return (item[0] * 0.9).astype(np.float32), item[1]


def changed(scale: float = 1.0, dx: float = 0.0, dy: float = 0.0, degrees: float = 0.0) -> Floats:
    """Return a map of the network frame about its center."""
    turn = np.deg2rad(degrees)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    center = np.array([0.5, 0.5])
    return np.column_stack([linear, center - linear @ center + (dx, dy)])


def test_a_radiograph_rated_by_itself_with_the_true_outlines_gets_one() -> None:
    image, points = phantom()
    rating = rate(image, points, np.zeros(4), references_of(dimmed((image, points))))
    assert rating.dice_mean == pytest.approx(1.0, abs=0.005)
    assert rating.lungs_mean == pytest.approx(1.0, abs=0.005)
    assert rating.references == ("radiograph0",)


@pytest.mark.parametrize(
    "matrix", [changed(dx=0.05, dy=-0.04), changed(scale=0.9), changed(degrees=6), changed(1.06, 0.03, 0.02, -4)]
)
def test_a_moved_radiograph_is_laid_back(matrix: Floats) -> None:
    fixed, moving = (rating._shrunk(phantom(each)[0]) for each in (None, matrix))
    found = register(fixed, moving)
    assert found is not None
    side, outlines = len(fixed), phantom()[1]
    laid = found.move(rating._pixels(outlines, SIZE, side))
    expected = rating._pixels(outlines @ matrix[:, :2].T + matrix[:, 2], SIZE, side)
    distance = np.linalg.norm(laid - expected, axis=1) / side
    # The radiographs were moved by 0.06, and their outlines are soft.
    assert distance.mean() < 0.01
    assert distance.max() < 0.015


def test_true_outlines_of_a_moved_radiograph_are_rated_high_and_its_neighbor_s_lower() -> None:
    image, points = phantom(changed(1.08, 0.04, 0.03))
    references = references_of(phantom())
    right, wrong = (rate(image, each, np.zeros(4), references).dice_mean for each in (points, phantom()[1]))
    assert right is not None
    assert wrong is not None
    assert right > 0.97
    assert wrong < right - 0.05


def test_the_dice_is_that_of_the_masks_and_their_mean_and_best() -> None:
    image, points = phantom()
    shifted = points + np.array([0.03, 0.0])
    rating = rate(image, shifted, np.zeros(4), references_of(dimmed((image, points)), phantom(changed(scale=0.95))))
    masks = [label_map(each * SIZE, SIZE) for each in (shifted, points)]
    lungs, heart = (
        2 * np.sum((masks[0] == label) & (masks[1] == label)) / np.sum([(mask == label).sum() for mask in masks])
        for label in (1, 2)
    )
    assert overlap(*masks) == pytest.approx((lungs, heart))
    assert rating.lungs_mean == pytest.approx(lungs, abs=0.02)
    assert rating.heart_mean == pytest.approx(heart, abs=0.02)
    assert rating.dice_mean is not None
    assert rating.dice_mean == pytest.approx(((rating.lungs_mean or 0) + (rating.heart_mean or 0)) / 2)
    assert rating.dice_max is not None
    assert rating.dice_max >= rating.dice_mean


def test_labels_are_the_published_ones() -> None:
    labels = label_map(phantom_landmarks(SIZE, SIZE), SIZE)
    heart = fill_polygon(phantom_landmarks(SIZE, SIZE)[HEART.nodes], (SIZE, SIZE))
    assert set(np.unique(labels)) == {0, 1, 2}
    np.testing.assert_array_equal(labels == 2, heart)
    assert overlap(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)) == (1.0, 1.0)


def test_references_are_the_nearest_by_latent_mean_and_never_the_radiograph_itself() -> None:
    radiographs = [phantom(changed(dx=0.01 * number)) for number in range(4)]
    references = references_of(*radiographs)
    image, points = radiographs[2]
    assert rate(image, points, np.full(4, 2.1), references, neighbors=2).references == ("radiograph3", "radiograph1")
    # The same radiograph in other precision is the radiograph itself as well.
    almost = (np.rint(image * 255) / 255).astype(np.float32)
    assert "radiograph2" not in rate(almost, points, np.full(4, 2.1), references).references
    alone = references_of(radiographs[2])
    assert rate(image, points, np.zeros(4), alone) == Rating()


def test_what_cannot_be_registered_has_no_rating() -> None:
    image, points = phantom()
    black, references = np.zeros_like(image), references_of(phantom(changed(scale=0.9)))
    assert rate(black, points, np.zeros(4), references) == Rating()
    assert rate(image, np.where(np.arange(120)[:, None] == 3, np.nan, points), np.zeros(4), references) == Rating()
    assert rate(np.full_like(image, np.nan), points, np.zeros(4), references) == Rating()
    both = references_of((black, points), phantom(changed(scale=0.9)))
    assert rate(image, points, np.zeros(4), both).references == ("radiograph1",)


def test_points_move_by_displacement_and_map_and_outside_as_at_the_border() -> None:
    displacement = np.zeros((4, 4, 2), np.float32)
    displacement[:, 2:] = (1.0, -2.0)
    alignment = registration.Alignment(np.array([[2.0, 0.0, 10.0], [0.0, 1.0, 0.0]]), displacement)
    points = np.array([[0.0, 0.0], [1.5, 1.0], [3.0, 3.0], [9.0, 1.0]])
    expected = [[10.0, 0.0], [14.0, 0.0], [18.0, 1.0], [30.0, -1.0]]
    np.testing.assert_allclose(alignment.move(points), expected)


def test_maps_that_stretch_too_much_or_mirror_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed, moving = (rating._shrunk(phantom(each)[0]) for each in (None, changed(scale=0.85)))
    assert register(fixed, moving) is not None
    for stretch in (2.2, 0.4, -1.0, np.nan):
        assert not registration._is_plausible(np.array([[stretch, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    assert registration._is_plausible(np.array([[1.2, 0.1, 3.0], [0.0, 0.9, -2.0]]))
    monkeypatch.setattr(registration, "LARGEST_STRETCH", 1.05)
    assert register(fixed, moving) is None


def test_arguments_that_do_not_fit_are_refused() -> None:
    image, points = phantom()
    references = references_of((image, points))
    with pytest.raises(ValueError, match="shapes"):
        rate(image[:128, :128], points, np.zeros(4), references)
    with pytest.raises(ValueError, match="shapes"):
        rate(image, points, np.zeros(5), references)
    with pytest.raises(ValueError, match="neighbors"):
        rate(image, points, np.zeros(4), references, neighbors=0)


def test_without_itk_the_message_tells_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "itk", None)
    with pytest.raises(ValueError, match=r"pip install 'monai-chexmask-u\[rca\]'"):
        require_itk()


def test_importing_loads_neither_itk_nor_torch() -> None:
    slow = "{'itk', 'torch', 'scipy', 'pandas'}"
    code = f"import monai_chexmask_u.dataset.rca.rating, sys; assert not {slow} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_ratings_are_the_same_bytes_in_every_process_and_after_sending(tmp_path: Path) -> None:
    image, points = phantom(changed(1.05, 0.02, 0.01, 3))
    noisy = np.clip(image + np.random.default_rng(0).normal(0, 0.05, image.shape), 0, 1).astype(np.float32)
    arguments = (noisy, points, np.full(4, 0.4), references_of(phantom(changed(dx=0.03))))
    (tmp_path / "arguments").write_bytes(pickle.dumps(arguments))
    code = (
        "import pickle, sys, itk; from monai_chexmask_u.dataset.rca.rating import rate;"
        "itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(int(sys.argv[2]));"
        "print(repr(rate(*pickle.load(open(sys.argv[1], 'rb')))))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "arguments"), "3"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert told == repr(rate(*arguments))


def test_the_fingerprint_tells_sets_of_references_apart() -> None:
    references = references_of(phantom(), phantom(changed(dx=0.02)))
    other = replace(references, landmarks=references.landmarks + 1e-6)
    renamed = replace(references, names=("radiograph0", "radiograph2"))
    repainted = references_of(phantom(), dimmed(phantom(changed(dx=0.02))))
    prints = {each.fingerprint for each in (references, other, renamed, repainted)}
    assert len(prints) == 4
    assert pickle.loads(pickle.dumps(references)).fingerprint == references.fingerprint
    assert json.loads(json.dumps(REGISTRATION_SETTINGS)) == REGISTRATION_SETTINGS


def test_references_are_loaded_with_the_network_s_latent_means(landmark_data: Path, tiny_model: Model) -> None:
    folder = landmark_data / "val"
    landmarks = read_arrays(folder / "landmarks.npz")
    landmarks["val1"][HEART.nodes] = np.nan  # lacks the heart, so it cannot judge
    write_arrays(folder / "landmarks.npz", landmarks)
    references = load_references(folder, Segmenter(tiny_model, num_samples=2, device="cpu"))
    assert references.names == ("val0", "val2", "val3")
    assert references.images.shape == (3, 64, 64)
    assert references.latent_means.shape == (3, 64)
    np.testing.assert_allclose(references.landmarks[0] * 64, landmarks["val0"], atol=1e-4)
    assert len(set(references.digests)) == 3
    landmarks = {name: np.where(np.arange(120)[:, None] < 94, points, np.nan) for name, points in landmarks.items()}
    write_arrays(folder / "landmarks.npz", landmarks)
    with pytest.raises(ValueError, match="no radiograph with the outlines"):
        load_references(folder, Segmenter(tiny_model, num_samples=2, device="cpu"))


def test_a_broken_reference_is_named(landmark_data: Path, tiny_model: Model) -> None:
    (landmark_data / "val" / "images" / "val2.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(ValueError, match=r"val2\.png"):
        load_references(landmark_data / "val", Segmenter(tiny_model, num_samples=2, device="cpu"))


def test_worse_outlines_of_real_radiographs_get_lower_ratings(shared_data: Path, tmp_path: Path) -> None:
    segmenter = Segmenter(load_model(), num_samples=2, device="cpu")
    few = tmp_path / "few"
    few.mkdir()
    (few / "images").symlink_to(shared_data / "jsrt" / "train" / "images")
    landmarks = read_arrays(shared_data / "jsrt" / "train" / "landmarks.npz")
    write_arrays(few / "landmarks.npz", dict(list(landmarks.items())[::12]))
    references = load_references(few, segmenter)
    radiographs = _radiographs(shared_data / "jsrt" / "val", segmenter, 3)
    away = np.random.default_rng(1).normal(size=(120, 2))
    means = []
    for spread, shift in ((0.0, 0.0), (0.02, 0.03), (0.04, 0.08)):
        ratings = [rate(image, true + spread * away + shift, latent, references) for image, true, latent in radiographs]
        means.append(np.mean([rating.dice_mean for rating in ratings if rating.dice_mean is not None]))
    assert means[0] > 0.8
    assert means[0] > means[1] + 0.03
    assert means[1] > means[2] + 0.05


def _radiographs(folder: Path, segmenter: Segmenter, count: int) -> list[tuple[Image, Floats, Floats]]:
    """Return network image, true landmarks in the network frame and latent mean of a few radiographs."""
    import torch

    from monai_chexmask_u.data import landmark_datalist
    from monai_chexmask_u.networks.network_image import to_network_image
    from monai_chexmask_u.reading import read_radiograph

    radiographs = []
    for item in landmark_datalist(folder)[:count]:
        radiograph = read_radiograph(Path(item["image"]))
        posterior, frame = segmenter.infer(radiograph)
        image = to_network_image(torch.from_numpy(radiograph.pixels), frame)[0].numpy()
        radiographs.append((image, frame.to_network(item["label"]), posterior.latent_mean[0].double().numpy()))
    return radiographs
