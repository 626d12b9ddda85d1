"""Sets of radiographs and what is known of them; a folder's kind is recognized by what lies in it."""

from __future__ import annotations

import csv
import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.data.patients import patients_of
from monai_chexmask_u.files.naming import output_names
from monai_chexmask_u.reading import is_candidate

__all__ = ["FRONTAL", "RadiographItem", "RadiographSet", "read_sets"]

FRONTAL: Final = "frontal_chest"
"""The label of what the network is made for; every other label is foreign to it."""

_LANDMARKS: Final = ("landmarks.npz", "landmarks.csv", "RL", "landmarks/RL", "Landmarks/RL")
_PARTS: Final = ("train", "val", "test", "images")


@dataclass(frozen=True, eq=False)
class RadiographItem:
    """A radiograph of a set, not read yet, and what is known of it.

    Attributes:
        path: the file.
        name: unique within its set.
        source: name of its set.
        label: `FRONTAL` or what else it shows.
        landmarks: ``(120, 2)``, (x, y) in pixels of the image, NaN where unknown; None without outlines.
        partner: the set's next radiograph, which is blended in; None where there is none.
        patient: by `patients_of`; radiographs of one patient are not independent.
    """

    path: Path
    name: str
    source: str
    label: str = FRONTAL
    landmarks: NDArray[np.float64] | None = None
    partner: Path | None = None
    patient: str = ""

    @property
    def key(self) -> str:
        """Name among the radiographs of all sets."""
        return f"{self.source}/{self.name}"

    def digest(self) -> str:
        """Return the first half of the file's SHA-256, by which a radiograph is known wherever it lies.

        Raises:
            OSError: if the file cannot be read.
        """
        return hashlib.sha256(self.path.read_bytes()).hexdigest()[:32]

    def fingerprint(self) -> str:
        """Return the SHA-256 of all that a measurement depends on: the file, the outline, and the partner's file.

        Raises:
            OSError: if a file cannot be read.
        """
        digest = hashlib.sha256(self.path.read_bytes())
        digest.update(b"" if self.landmarks is None else self.landmarks.tobytes())
        digest.update(b"" if self.partner is None else self.partner.read_bytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class RadiographSet:
    """The radiographs of one folder.

    Attributes:
        name: after the folder, unique in a run.
        kind: ``outlined`` radiographs have true landmarks, ``labelled`` ones a word for what they show, ``frontal``
            ones are chest radiographs of other scanners and people.
        rule: how the kind was recognized, for the report.
        radiographs: those to use.
        found: number of radiographs in the folder.
    """

    name: str
    kind: Literal["outlined", "labelled", "frontal"]  # as summaries of earlier versions have it
    rule: str
    radiographs: tuple[RadiographItem, ...]
    found: int


def read_sets(
    folders: Sequence[Path], *, limit: int | None = None, leave_out: Sequence[str] = ()
) -> list[RadiographSet]:
    """Read the radiographs of several folders.

    A folder in a layout of `landmark_datalist` holds outlined radiographs; one with ``labels.csv`` (columns ``file``
    and ``label``) labeled ones; any other folder with images, there or in ``images/``, frontal chest radiographs.

    Args:
        folders: at least one with outlined radiographs.
        limit: use no more than so many radiographs of each folder, of a labeled one so many of each label.
        leave_out: names of files, without suffix, that are not what their folder says.

    Raises:
        ValueError: if a folder cannot be used or none has outlines; the message names the folder.
    """
    sets = [_read(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]
    if not any(each.kind == "outlined" for each in sets):
        raise ValueError(f"{', '.join(map(str, folders))}: no folder with landmarks among these; give one with --data")
    names = {item.path.stem for each in sets for item in each.radiographs}
    for name in leave_out:
        if name not in names:
            raise ValueError(
                f"{name}: there is no radiograph of this name to leave out; give the file's name without suffix"
            )
    kept = [[item for item in each.radiographs if item.path.stem not in leave_out] for each in sets]
    return [
        replace(each, radiographs=_first_of_each_label(radiographs, limit))
        for each, radiographs in zip(sets, kept, strict=True)
    ]


def _read(folder: Path, name: str) -> RadiographSet:
    if any((folder / each).exists() for each in _LANDMARKS):
        return _outlined(folder, name)
    if (folder / "labels.csv").is_file():
        return _labeled(folder, name)
    place = folder / "images" if (folder / "images").is_dir() else folder
    paths = [path for path in sorted(place.iterdir()) if is_candidate(path)] if place.is_dir() else []
    if not paths:
        landmark_datalist(folder)  # says what is missing, and where it may be
        raise ValueError(f"{folder}: there are no images in it")
    radiographs = tuple(
        RadiographItem(path, key, name, patient=patient)
        for path, key, patient in zip(paths, output_names(paths), patients_of(folder, paths), strict=True)
    )
    return RadiographSet(
        name,
        "frontal",
        "images without landmarks or labels.csv: frontal chest radiographs",
        radiographs,
        len(radiographs),
    )


def _outlined(folder: Path, name: str) -> RadiographSet:
    items = landmark_datalist(folder)
    partners = [Path(item["image"]) for item in [*items[1:], items[0]]] if len(items) > 1 else [None]
    patients = patients_of(folder, [Path(item["image"]) for item in items])
    radiographs = tuple(
        RadiographItem(
            Path(item["image"]),
            item["name"],
            name,
            landmarks=np.asarray(item["label"], float),
            partner=partner,
            patient=patient,
        )
        for item, partner, patient in zip(items, partners, patients, strict=True)
    )
    return RadiographSet(
        name, "outlined", "landmarks beside the images: outlined radiographs", radiographs, len(radiographs)
    )


def _labeled(folder: Path, name: str) -> RadiographSet:
    table = folder / "labels.csv"
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"file", "label"} <= rows[0].keys() or not all(row["file"] and row["label"] for row in rows):
        raise ValueError(f"{table}: expected the columns file and label, and a row per image")
    place = folder / "images" if (folder / "images").is_dir() else folder
    paths = [place / row["file"] for row in rows]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise ValueError(f"{place}: {len(missing)} images of labels.csv are missing, e.g. {missing[:3]}")
    radiographs = tuple(
        RadiographItem(path, key, name, label=row["label"], patient=patient)
        for path, key, row, patient in zip(paths, output_names(paths), rows, patients_of(folder, paths), strict=True)
    )
    rule = f"labels.csv: labeled radiographs, all but {FRONTAL} foreign"
    return RadiographSet(name, "labelled", rule, radiographs, len(radiographs))


def _names(folders: Iterable[Path]) -> list[str]:
    """Name sets after their folders, with the parent's name where it says more, and with a number where it repeats."""
    names: list[str] = []
    for folder in map(Path.resolve, folders):
        plain = f"{folder.parent.name}_{folder.name}" if folder.name in _PARTS else folder.name
        numbered = (f"{plain}-{number}" for number in itertools.count(2))
        names.append(next(name for name in itertools.chain([plain], numbered) if name not in names))
    return names


def _first_of_each_label(radiographs: Sequence[RadiographItem], limit: int | None) -> tuple[RadiographItem, ...]:
    counts: defaultdict[str, int] = defaultdict(int)
    kept = []
    for item in radiographs:
        counts[item.label] += 1
        if limit is None or counts[item.label] <= limit:
            kept.append(item)
    return tuple(kept)
