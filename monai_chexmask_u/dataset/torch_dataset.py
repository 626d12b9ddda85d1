"""A data set for PyTorch and MONAI: its rows with their radiographs, in any order or shuffled by row groups.

Items are dictionaries, as MONAI's transforms take them, with the keys of `monai_chexmask_u.data.landmark_datalist`.
"""

from __future__ import annotations

import bisect
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.dataset.access import (
    dataset_files,
    filter_of,
    label_mask_of,
    landmarks_of,
    open_dataset,
    rows_of_batch,
)
from monai_chexmask_u.dataset.building.radiograph_index import RadiographIndex
from monai_chexmask_u.dataset.folder import DatasetError
from monai_chexmask_u.dataset.schema import column_names, completed, mask_column
from monai_chexmask_u.dataset.selection import Selection

__all__ = ["RadiographDataset", "ShuffledRadiographs"]

_ALWAYS: Final = ("image_id", "image_path", "source", "frame", "height", "width", "landmarks")
_MASKS: Final = tuple(mask_column(organ.name) for organ in ORGANS)


@dataclass(frozen=True)
class _Group:
    """A row group: its file, its number in it, and the places of the rows that were chosen."""

    file: Path
    number: int
    places: NDArray[np.int64]


class _Source:
    """What both data sets share: which rows there are, and how a row becomes an item."""

    def __init__(
        self,
        path: str | Path,
        *,
        images: str | Path | None = None,
        where: Selection | None = None,
        columns: Sequence[str] = (),
        masks: bool = False,
        load: bool = False,
        frame: str = "image",
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        if load and images is None:
            raise ValueError("loading radiographs needs the folder of images")
        self.columns = column_names([*dict.fromkeys([*_ALWAYS, *(_MASKS if masks else ()), *columns])])
        self.asked = tuple(columns)
        self.masks, self.load, self.transform = masks, load, transform
        self.index = None if images is None else RadiographIndex(Path(images))
        self.groups = _groups(Path(path), where, frame)

    def rows(self, group: _Group) -> list[dict[str, Any]]:
        """Read the rows of a group that were chosen."""
        with pq.ParquetFile(group.file, page_checksum_verification=True) as file:
            # Threads of Arrow do not live on in processes that a loader forks.
            table = file.read_row_group(group.number, columns=self.columns, use_threads=False)
        chosen = completed(table, self.columns).take(group.places).combine_chunks()
        return [row for batch in chosen.to_batches() for row in rows_of_batch(batch)]

    def item(self, row: Mapping[str, Any]) -> Any:
        """Return a row as an item.

        Raises:
            DatasetError: if its radiograph is not there.
            RadiographError: if it cannot be read.
        """
        item: dict[str, Any] = {
            "image_id": row["image_id"],
            "name": row["image_id"],
            "label": torch.from_numpy(landmarks_of(row).astype(np.float32)),
            **{name: row[name] for name in self.asked},
        }
        if self.masks:
            item["mask"] = torch.from_numpy(label_mask_of(row)[None])
        if self.index is not None:
            item["image"] = self._image(self.index, row)
        if self.transform is None:
            return item
        from monai.transforms import apply_transform

        return apply_transform(self.transform, item, map_items=False)

    def _image(self, index: RadiographIndex, row: Mapping[str, Any]) -> Any:
        file = index.find(row["image_id"], image_path=row["image_path"], source=row["source"])
        if file is None:
            raise DatasetError(
                f"{row['image_id']}: this radiograph is not below {index.images}; check the folder of images"
            )
        if not self.load:
            if file.member is not None:
                raise DatasetError(
                    f"{file.image_path}: this radiograph lies in an archive and has no path; use load=True"
                )
            return str(file.file)
        radiograph = file.read()
        size = (row["height"], row["width"])
        if None not in size and radiograph.shape != size:
            raise DatasetError(
                f"{file.image_path}: the radiograph has {radiograph.shape} pixels, but its row is for {size}"
            )
        return radiograph


def _groups(path: Path, where: Selection | None, frame: str) -> list[_Group]:
    """Return the row groups that have rows of a selection, after a look at the columns that it is about."""
    data = open_dataset(path)
    expression = filter_of(data, where)
    groups: list[_Group] = []
    needed = sorted({"frame", *(where.columns if where else ())})
    for name in dataset_files(path):
        with pq.ParquetFile(name, page_checksum_verification=True) as file:
            for number in range(file.num_row_groups):
                table = completed(file.read_row_group(number, columns=needed, use_threads=False), needed)
                table = table.append_column("place", [np.arange(len(table))])
                chosen = table if expression is None else table.filter(expression)
                others = set(chosen["frame"].to_pylist()) - {frame}
                if others:
                    way = "convert the table with --images, or say frame='preprocessed' and give preprocessed images"
                    raise DatasetError(f"{name}: rows are in the frame {others.pop()!r}, not {frame!r}; {way}")
                if len(chosen):
                    groups.append(_Group(name, number, chosen["place"].to_numpy()))
    return groups


class RadiographDataset(_Source, Dataset[Any]):
    """Rows of a data set with their radiographs, in any order.

    An item has ``image_id`` (also as ``name``), ``label``: landmarks ``(120, 2)`` float32, (x, y) in pixels of the
    row's frame, the columns asked for, and, if asked for, ``mask``: ``(1, height, width)`` uint8 with the organs'
    labels, and ``image``: the radiograph's path, or the `Radiograph`.

    The row groups used last are kept; reading in order is quick, reading at random reads a group for most rows, for
    which `ShuffledRadiographs` is the better way.

    Args:
        path: folder of a data set, or a ``.parquet`` file of one.
        images: folder of the radiographs; without it, items have no image.
        where: which rows, all by default.
        columns: further columns of the item.
        masks: add the masks.
        load: read the radiographs, also from archives; otherwise their paths are given.
        frame: in which pixels rows and images are; rows in another one are refused.
        transform: of MONAI or any other, for each item.
        cached_groups: row groups that are kept.

    Raises:
        DatasetError: if it is no data set, rows are in another frame, or a selection is about an empty column.
        ValueError: if there is no such column, or radiographs are to be loaded without their folder.
    """

    def __init__(self, path: str | Path, *, cached_groups: int = 2, **options: Any) -> None:
        """Find the rows; see the class."""
        super().__init__(path, **options)
        self.cached_groups = max(1, cached_groups)
        self._ends = np.cumsum([len(group.places) for group in self.groups], dtype=np.int64).tolist()
        self._cache: OrderedDict[int, list[dict[str, Any]]] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Any:
        """Return an item.

        Raises:
            IndexError: if there is no such row.
        """
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"there are {len(self)} rows, got {index}")
        number = bisect.bisect_right(self._ends, place)
        if number not in self._cache:
            self._cache[number] = self.rows(self.groups[number])
            while len(self._cache) > self.cached_groups:
                self._cache.popitem(last=False)
        self._cache.move_to_end(number)
        first = self._ends[number - 1] if number else 0
        return self.item(self._cache[number][place - first])


class ShuffledRadiographs(_Source, IterableDataset[Any]):
    """Rows of a data set with their images, each once an epoch, shuffled: first the row groups, then inside of each.

    A loader's workers share the row groups among them. The order depends on the seed and the epoch alone.

    Args:
        path: as for `RadiographDataset`, which says more of all the others, too.
        seed: of the shuffling; None keeps the order.
        options: of `RadiographDataset`.
    """

    def __init__(self, path: str | Path, *, seed: int | None = 0, **options: Any) -> None:
        """Find the rows; see the class."""
        super().__init__(path, **options)
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        """Return the number of rows of an epoch."""
        return sum(len(group.places) for group in self.groups)

    def set_epoch(self, epoch: int) -> None:
        """Choose another order, before the loader is asked for an epoch's items."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        """Yield the items of an epoch."""
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        order = np.arange(len(self.groups))
        if self.seed is not None:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(order)
        for number in order[first::step].tolist():
            rows = self.rows(self.groups[number])
            places = np.arange(len(rows))
            if self.seed is not None:
                places = np.random.default_rng([self.seed, self.epoch, number]).permutation(places)
            yield from (self.item(rows[place]) for place in places.tolist())
