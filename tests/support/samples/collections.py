"""Collections of radiographs in all the forms that `dataset build` takes, made in code: tiny images, no patient."""

from __future__ import annotations

import csv
import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from support.samples.dicom import make_dx

from monai_chexmask_u.dataset.building.listing import Listing

__all__ = [
    "LAYOUTS",
    "RADIOGRAPHS",
    "RADIOGRAPH_NAMES",
    "Layout",
    "dicom_radiograph",
    "ids",
    "jpeg_radiograph",
    "paths",
    "png_radiograph",
    "write_csv",
    "write_files",
    "write_tar",
    "write_zip",
]

MIMIC_IDS: Final = tuple(f"0000000{n}-11111111-22222222-33333333-44444444" for n in range(5))
VINDR_IDS: Final = ("50a418190bc3fb1ef1633bf9678929b3", "21a10246a5ec7af151081d0cd6d65dc9")
PADCHEST_IDS: Final = (
    "216840111366964012819207061112010307142602253_04-014-084.png",
    "20536686640136348236148679891455886468_k6ga29.png",
    "1111111111111111111111111111111111111_00-000-001.png",
)


def png_radiograph(seed: int = 0) -> bytes:
    return _image(seed, "PNG")


def jpeg_radiograph(seed: int = 0) -> bytes:
    return _image(seed, "JPEG")


def dicom_radiograph(seed: int = 0) -> bytes:
    content = io.BytesIO()
    make_dx(rows=80, columns=72, seed=seed).save_as(content, enforce_file_format=True)
    return content.getvalue()


def _image(seed: int, kind: str) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (72, 64), dtype=np.uint8)).save(content, kind)
    return content.getvalue()


RADIOGRAPHS: Final = {"b.png": png_radiograph(1), "a/c.jpg": jpeg_radiograph(2), "a/d.dcm": dicom_radiograph(3)}
RADIOGRAPH_NAMES: Final = ["a/c.jpg", "a/d.dcm", "b.png"]
"""A small collection of three kinds of files, and its sorted names."""


def ids(listing: Listing) -> list[str]:
    return [item.image_id for item in listing.radiographs]


def paths(listing: Listing) -> list[str]:
    return [item.image_path for item in listing.radiographs]


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_zip(path: Path, files: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, files: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def write_csv(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    content = text.getvalue().encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@dataclass(frozen=True)
class Layout:
    """How a public data set lies on a disk.

    Attributes:
        source: its name.
        make: writes it to a folder.
        views: its radiographs and their views, by id.
        left_out: what is none of its frontal radiographs, by reason.
        table: path of its view table, or None.
    """

    source: str
    make: Callable[[Path], None]
    views: Mapping[str, str | None]
    left_out: Mapping[str, int]
    table: str | None = None


def _chestx_ray8(folder: Path) -> None:
    write_files(
        folder / "images_001" / "images", {"00000001_000.png": png_radiograph(1), "00000001_001.png": png_radiograph(2)}
    )
    write_files(folder / "images_002" / "images", {"00000002_000.png": png_radiograph(3)})
    header = ["Image Index", "Finding Labels", "View Position", "OriginalImage[Width", "Height]", ""]
    rows = [["00000001_000.png", "Hernia", "PA"], ["00000001_001.png", "", "AP"], ["00000009_000.png", "", "PA"]]
    write_csv(folder / "Data_Entry_2017.csv", [header, *rows])


def _chexpert(folder: Path) -> None:
    root = folder / "CheXpert-v1.0"
    study, batch = "patient00001/study1", "CheXpert-v1.0 batch 3 (train 2)"
    write_files(
        root / "train" / study, {"view1_frontal.jpg": jpeg_radiograph(1), "view2_lateral.jpg": jpeg_radiograph(2)}
    )
    write_files(root / "valid" / "patient64541" / "study1", {"view1_frontal.jpg": jpeg_radiograph(3)})
    write_files(folder / batch / "patient30000" / "study2", {"view1_frontal.jpg": jpeg_radiograph(4)})
    header = ["Path", "Sex", "Frontal/Lateral", "AP/PA"]
    train = [
        [f"CheXpert-v1.0/train/{study}/view1_frontal.jpg", "Female", "Frontal", "AP"],
        [f"CheXpert-v1.0/train/{study}/view2_lateral.jpg", "Female", "Lateral", ""],
        ["CheXpert-v1.0/train/patient30000/study2/view1_frontal.jpg", "Male", "Frontal", "PA"],
    ]
    write_csv(root / "train.csv", [header, *train])
    write_csv(root / "valid.csv", [header])


def _mimic(folder: Path) -> None:
    study = folder / "files" / "p10" / "p10000032" / "s50414267"
    write_files(study, {f"{name}.jpg": jpeg_radiograph(n) for n, name in enumerate(MIMIC_IDS)})
    write_files(folder / "files" / "p10" / "p10000032", {"s50414267.txt": b"a report"})
    views = ("PA", "AP", "LATERAL", "", "AP AXIAL")
    rows = [[name, "10000032", view] for name, view in zip(MIMIC_IDS, views, strict=True)]
    write_csv(folder / "mimic-cxr-2.0.0-metadata.csv.gz", [["dicom_id", "subject_id", "ViewPosition"], *rows])


def _padchest(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    write_zip(folder / "0.zip", {PADCHEST_IDS[0]: png_radiograph(1), PADCHEST_IDS[2]: png_radiograph(2)})
    write_files(folder / "1", {PADCHEST_IDS[1]: png_radiograph(3)})
    rows = [["7", PADCHEST_IDS[0], "PA"], ["8", PADCHEST_IDS[1], "AP_horizontal"], ["9", PADCHEST_IDS[2], "L"]]
    name = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
    write_csv(folder / "labels_csv" / name, [["", "ImageID", "Projection"], *rows])


def _vindr(folder: Path) -> None:
    write_files(folder / "train", {f"{VINDR_IDS[0]}.dicom": dicom_radiograph(1), "notes.png": png_radiograph()})
    write_files(folder / "test", {f"{VINDR_IDS[1]}.dicom": dicom_radiograph(2)})
    write_files(folder / "annotations", {"image_labels_train.csv": b"image_id,rad_id\n"})


OTHER: Final = "not a frontal radiograph of the source by its path"

LAYOUTS: Final = (
    Layout(
        "chestx-ray8",
        _chestx_ray8,
        {"00000001_000.png": "PA", "00000001_001.png": "AP", "00000002_000.png": None},
        {},
        "Data_Entry_2017.csv",
    ),
    Layout(
        "chexpert",
        _chexpert,
        {
            "train/patient00001/study1/view1_frontal.jpg": "AP",
            "train/patient30000/study2/view1_frontal.jpg": "PA",
            "valid/patient64541/study1/view1_frontal.jpg": None,
        },
        {OTHER: 1},
        "CheXpert-v1.0/train.csv",
    ),
    Layout(
        "mimic-cxr-jpg",
        _mimic,
        {MIMIC_IDS[0]: "PA", MIMIC_IDS[1]: "AP"},
        {"no view in the view table": 1, "not an image": 1, "not frontal by the view table": 2},
        "mimic-cxr-2.0.0-metadata.csv.gz",
    ),
    Layout(
        "padchest",
        _padchest,
        {PADCHEST_IDS[0]: "PA", PADCHEST_IDS[1]: "AP"},
        {"not frontal by the view table": 1},
        "labels_csv/PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
    ),
    Layout("vindr-cxr", _vindr, dict.fromkeys(VINDR_IDS), {"not an image": 1, OTHER: 1}),
)
