"""The public data sets that CheXmask-U covers: how each names its radiographs, and what its preprocessing did to them.

References:
    CheXmask-U, https://arxiv.org/abs/2512.10715; CheXmask, https://arxiv.org/abs/2307.03293
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

__all__ = ["SOURCES", "Source", "source_called", "source_of_column"]


@dataclass(frozen=True)
class Source:
    """A public data set.

    Attributes:
        name: as commands take it.
        title: as tables and people write it.
        id_column: header of its id in the published tables.
        pattern: of the paths of its radiographs, frontal ones where the path tells; its group ``id`` is the id of the
            radiograph, below its group ``split`` if there is one.
        suffix: of the image files, which some published tables append to the id and others do not.
        crop_border: its preprocessing cut off the black border around the exposed field.
        license: under which its images are given.
        view_tables: names of the tables, beside the images, that tell the view of each radiograph.
        view_columns: id and view in these tables.
        views: the frontal views by their names in these tables, each as ``PA``, ``AP`` or None where that is unknown;
            the empty name stands for radiographs without a view. Radiographs of other views are no frontal ones.
    """

    name: str
    title: str
    id_column: str
    pattern: re.Pattern[str]
    suffix: str
    crop_border: bool
    license: str
    view_tables: tuple[str, ...] = ()
    view_columns: tuple[str, str] = ("", "")
    views: Mapping[str, str | None] = field(default_factory=dict)

    def id_of(self, path: PurePosixPath | str) -> str | None:
        """Return the id of the radiograph at a path, or None if it is not one of this source's.

        Example:
            >>> source_called("chexpert").id_of("CheXpert-v1.0/train/patient1/study1/view1_frontal.jpg")
            'train/patient1/study1/view1_frontal.jpg'
        """
        match = self.pattern.search(f"/{path}")
        if match is None:
            return None
        return "/".join(part for part in (match.groupdict().get("split"), match["id"]) if part)

    def bare(self, image_id: str) -> str:
        """Return an id without the suffix of image files, in which published tables differ."""
        return image_id.removesuffix(self.suffix)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


# The images all are frontal; only PA or AP is asked of the table.
_EVERY_VIEW: Final = MappingProxyType({"PA": "PA", "AP": "AP", "": None})

SOURCES: Final = (
    Source(
        "chestx-ray8",
        "ChestX-ray8",
        "Image Index",
        _pattern(r"/(?P<id>\d{8}_\d{3}\.png)$"),
        ".png",
        crop_border=False,
        license="no restrictions; the NIH Clinical Center is to be named",
        view_tables=("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv"),
        view_columns=("Image Index", "View Position"),
        views=_EVERY_VIEW,
    ),
    # Folders and archives of the full images are called "CheXpert-v1.0 batch 2 (train 1)".
    Source(
        "chexpert",
        "CheXpert",
        "Path",
        _pattern(
            r"[/(](?P<split>train|valid|test)(?: \d\)(?:\.zip|\.tar)?)?"
            r"/(?P<id>patient\d+/study\d+/view1_frontal\.jpg)$"
        ),
        ".jpg",
        crop_border=False,
        license="Stanford University Dataset Research Use Agreement",
        view_tables=("train.csv", "valid.csv"),
        view_columns=("Path", "AP/PA"),
        views=_EVERY_VIEW,
    ),
    # AP and PA alone are 147,173 and 96,161 radiographs, the 243,334 of the published tables: those without a view are
    # none of them. The other frontal views are eleven radiographs.
    Source(
        "mimic-cxr-jpg",
        "MIMIC-CXR-JPG",
        "dicom_id",
        _pattern(r"/(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{8}){4})\.jpg$"),
        ".jpg",
        crop_border=True,
        license="PhysioNet Credentialed Health Data License",
        view_tables=("mimic-cxr-2.0.0-metadata.csv", "mimic-cxr-2.0.0-metadata.csv.gz"),
        view_columns=("dicom_id", "ViewPosition"),
        views=MappingProxyType({"PA": "PA", "AP": "AP"}),  # as many radiographs as the published table has
    ),
    Source(
        "padchest",
        "PadChest",
        "ImageID",
        _pattern(r"/(?P<id>\d[0-9a-z_.-]*\.png)$"),
        ".png",
        crop_border=True,
        license="PadChest Dataset Research Use Agreement",
        view_tables=(
            "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
            "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz",
            "PADCHEST_chest_x_ray_images_labels_160K.csv",
        ),
        view_columns=("ImageID", "Projection"),
        views=MappingProxyType({"PA": "PA", "AP": "AP", "AP_horizontal": "AP"}),
    ),
    Source(
        "vindr-cxr",
        "VinDr-CXR",
        "image_id",
        _pattern(r"/(?P<id>[0-9a-f]{32})\.(?:dicom|dcm)$"),
        ".dicom",
        crop_border=False,
        license="PhysioNet Credentialed Health Data License",
    ),
)


def source_called(name: str) -> Source:
    """Return a source by its name or title.

    Raises:
        ValueError: if there is none.
    """
    for source in SOURCES:
        if name.lower() in (source.name, source.title.lower()):
            return source
    raise ValueError(f"there is no source {name!r}; known are {', '.join(source.name for source in SOURCES)}")


def source_of_column(id_column: str) -> Source | None:
    """Return the source whose published tables call their ids by this header, or None."""
    return next((source for source in SOURCES if source.id_column == id_column), None)
