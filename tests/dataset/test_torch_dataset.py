from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import list_data_collate
from monai.transforms import Compose, Lambdad
from PIL import Image
from support.samples.published_tables import chexmask_u_header, drawn_mask, make_rows, write_table
from torch.utils.data import DataLoader

from monai_chexmask_u.anatomy import HEART
from monai_chexmask_u.dataset.folder import DatasetError
from monai_chexmask_u.dataset.published_tables.convert import convert_table
from monai_chexmask_u.dataset.selection import Selection
from monai_chexmask_u.dataset.torch_dataset import RadiographDataset, ShuffledRadiographs
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.transforms import LoadRadiographd

SHAPE = (160, 120)
MADE = make_rows(23, id_column="ImageID", shape=SHAPE)
IDS = [row.image_id for row in MADE]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 23 rows in row groups of 4, and its radiographs below ``images``."""
    folder = tmp_path_factory.mktemp("torch")
    table = write_table(folder / "table.csv", MADE, chexmask_u_header("ImageID"))
    convert_table(table, folder / "data", rows_per_shard=4)
    (folder / "images" / "0").mkdir(parents=True)
    for number, row in enumerate(MADE):
        pixels = np.random.default_rng(number).integers(0, 255, SHAPE, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / "0" / row.image_id)
    return folder / "data"


@pytest.fixture(scope="module")
def images(data: Path) -> Path:
    return data.parent / "images"


def test_items_pair_rows_with_radiographs(data: Path, images: Path) -> None:
    radiographs = RadiographDataset(data, images=images, masks=True, columns=["dice_rca_mean"])
    assert len(radiographs) == 23
    for place in (0, 22, 7, -1):
        item, made = radiographs[place], MADE[place]
        assert item["image_id"] == made.image_id
        assert Path(item["image"]) == images / "0" / made.image_id
        assert item["label"].dtype == torch.float32
        np.testing.assert_array_equal(item["label"], made.landmarks)
        assert item["mask"].shape == (1, *SHAPE)
        np.testing.assert_array_equal(item["mask"][0] == 3, drawn_mask(made.landmarks[HEART.nodes], SHAPE))
        assert item["dice_rca_mean"] == made.rca_mean
    with pytest.raises(IndexError, match="there are 23 rows"):
        radiographs[23]


def test_radiographs_are_loaded_if_asked_for(data: Path, images: Path) -> None:
    loaded = RadiographDataset(data, images=images, load=True)[5]["image"]
    assert isinstance(loaded, Radiograph)
    by_transform = RadiographDataset(data, images=images, transform=LoadRadiographd("image"))[5]["image"]
    np.testing.assert_array_equal(loaded.pixels, by_transform.pixels)


def test_transforms_of_monai_are_applied(data: Path) -> None:
    radiographs = RadiographDataset(data, transform=Compose([Lambdad("label", lambda points: points + 1)]))
    np.testing.assert_array_equal(radiographs[3]["label"], MADE[3].landmarks + 1)
    assert "image" not in radiographs[3]


def test_rows_are_chosen(data: Path) -> None:
    expected = [row.image_id for row in MADE if row.rca_mean >= 0.8]
    assert 0 < len(expected) < 23
    chosen = Selection(min_rca=0.8)
    radiographs = RadiographDataset(data, where=chosen)
    assert [radiographs[place]["image_id"] for place in range(len(radiographs))] == expected
    assert [item["image_id"] for item in ShuffledRadiographs(data, where=chosen, seed=None)] == expected


def test_few_row_groups_are_kept(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    radiographs = RadiographDataset(data, cached_groups=2)
    read: list[Any] = []
    rows = radiographs.rows

    def counted(group: Any) -> list[dict[str, Any]]:
        read.append(group)
        return rows(group)

    monkeypatch.setattr(radiographs, "rows", counted)
    for place in range(23):
        radiographs[place]
    assert len(read) == 6
    radiographs[20], radiographs[16], radiographs[20]
    assert len(read) == 6
    radiographs[0]
    assert len(read) == 7


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_gives_each_row_once(data: Path, images: Path, workers: int) -> None:
    radiographs = RadiographDataset(data, images=images, load=False)
    loader = DataLoader(radiographs, batch_size=4, num_workers=workers, collate_fn=list_data_collate)
    batches = list(loader)
    assert [name for batch in batches for name in batch["image_id"]] == IDS
    assert batches[0]["label"].shape == (4, 120, 2)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_shuffling_loader_gives_each_row_once(data: Path, workers: int) -> None:
    radiographs = ShuffledRadiographs(data, seed=3)
    names = [name for batch in DataLoader(radiographs, batch_size=4, num_workers=workers) for name in batch["image_id"]]
    assert sorted(names) == sorted(IDS)
    assert names != IDS


def test_the_order_depends_on_seed_and_epoch_alone(data: Path) -> None:
    def order(seed: int | None, epoch: int = 0) -> list[str]:
        radiographs = ShuffledRadiographs(data, seed=seed)
        radiographs.set_epoch(epoch)
        return [item["image_id"] for item in radiographs]

    assert order(3) == order(3)
    assert order(3) != order(4)
    assert order(3) != order(3, epoch=1)
    assert order(None) == IDS
    assert len(ShuffledRadiographs(data)) == 23


def test_groups_and_the_rows_inside_change_with_the_epoch(data: Path) -> None:
    radiographs = ShuffledRadiographs(data, seed=3)
    groups, inside = [], []
    for epoch in range(2):
        radiographs.set_epoch(epoch)
        places = [IDS.index(item["image_id"]) for item in radiographs]
        groups.append(list(dict.fromkeys(place // 4 for place in places)))
        inside.append([[place for place in places if place // 4 == group] for group in range(6)])
        assert places != sorted(places)
    # A row group's rows stay together.
    assert [sorted(each) for each in groups] == [list(range(6))] * 2
    assert groups[0] != groups[1]
    assert inside[0] != inside[1]


def test_it_can_be_sent_to_other_processes(data: Path, images: Path) -> None:
    radiographs = RadiographDataset(data, images=images)
    first = radiographs[0]["image_id"]
    assert pickle.loads(pickle.dumps(radiographs))[0]["image_id"] == first


def test_rows_in_another_frame_are_refused(tmp_path: Path) -> None:
    table = write_table(tmp_path / "table.csv", make_rows(2), chexmask_u_header())
    convert_table(table, tmp_path / "data")
    with pytest.raises(DatasetError, match="--images"):
        RadiographDataset(tmp_path / "data")
    assert len(RadiographDataset(tmp_path / "data", frame="preprocessed")) == 2


def test_a_missing_radiograph_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=f"{IDS[0]}: this radiograph is not below"):
        RadiographDataset(data, images=tmp_path)[0]


def test_a_radiograph_of_another_size_is_refused(data: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (200, 200), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / IDS[0])
    with pytest.raises(DatasetError, match=r"\(200, 200\) pixels, but its row is for \(160, 120\)"):
        RadiographDataset(data, images=tmp_path, load=True)[0]


def test_loading_needs_the_folder(data: Path) -> None:
    with pytest.raises(ValueError, match="folder of images"):
        RadiographDataset(data, load=True)
