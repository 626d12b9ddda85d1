"""The public data sets that CheXmask-U covers: how each names its films, and what its preprocessing did to them.

References:
    CheXmask-U, https://arxiv.org/abs/2512.10715; CheXmask, https://arxiv.org/abs/2307.03293
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

__all__ = ["SOURCES", "Source", "source_called", "source_of_column"]


@dataclass(frozen=True)
class Source:
    """A public data set.

    Attributes:
        name: as commands take it.
        title: as tables and people write it.
        id_column: header of its id in the published tables.
        film: pattern of the paths of its frontal films, below wherever the folder of images starts; its group ``id`` is
            the film's id.
        suffix: of the image files, which some published tables append to the id and others do not.
        crop_border: its preprocessing cut off the black border around the exposed field.
        license: under which its images are given.
        view_table: files that tell the view of each film, one of which may lie beside the images.
        view_columns: id and view in that table.
        frontal_views: views of that table that are frontal.
    """

    name: str
    title: str
    id_column: str
    film: re.Pattern[str]
    suffix: str
    crop_border: bool
    license: str
    view_table: tuple[str, ...] = ()
    view_columns: tuple[str, str] = ("", "")
    frontal_views: tuple[str, ...] = ()

    def id_of(self, path: PurePosixPath | str) -> str | None:
        """Return the id of the film at a path, or None if it is no frontal film of this source.

        Example:
            >>> source_called("chexpert").id_of("CheXpert-v1.0/train/patient1/study1/view1_frontal.jpg")
            'train/patient1/study1/view1_frontal.jpg'
        """
        match = self.film.search(f"/{path}")
        return match["id"] if match else None

    def bare(self, image_id: str) -> str:
        """Return an id without the suffix of image files, in which published tables differ."""
        return image_id.removesuffix(self.suffix)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


SOURCES: Final = (
    Source(
        "chestx-ray8",
        "ChestX-ray8",
        "Image Index",
        _pattern(r"/(?P<id>\d{8}_\d{3}\.png)$"),
        ".png",
        crop_border=False,
        license="no restrictions; the NIH Clinical Center is to be named",
    ),
    Source(
        "chexpert",
        "CheXpert",
        "Path",
        _pattern(r"/(?P<id>(?:train|valid|test)/patient\d+/study\d+/view1_frontal\.jpg)$"),
        ".jpg",
        crop_border=False,
        license="Stanford University Dataset Research Use Agreement",
    ),
    Source(
        "mimic-cxr-jpg",
        "MIMIC-CXR-JPG",
        "dicom_id",
        _pattern(r"/(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{8}){4})\.jpg$"),
        ".jpg",
        crop_border=True,
        license="PhysioNet Credentialed Health Data License",
        view_table=("mimic-cxr-2.0.0-metadata.csv", "mimic-cxr-2.0.0-metadata.csv.gz"),
        view_columns=("dicom_id", "ViewPosition"),
        frontal_views=("AP", "PA", "AP AXIAL", "PA RLD", "AP LLD", "AP RLD", "PA LLD", ""),
    ),
    Source(
        "padchest",
        "PadChest",
        "ImageID",
        _pattern(r"/(?P<id>[0-9_.-]+\.png)$"),
        ".png",
        crop_border=True,
        license="PadChest Dataset Research Use Agreement",
        view_table=(
            "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
            "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz",
        ),
        view_columns=("ImageID", "Projection"),
        frontal_views=("PA", "AP", "AP_horizontal"),
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
