"""A data set with landmarks, made of radiographs and masks."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import HEART, ORGANS, Organ
from monai_chexmask_u.annotations.landmark_files import write_arrays
from monai_chexmask_u.annotations.landmark_placement import landmarks_of_masks
from monai_chexmask_u.annotations.mask_files import MASK_SUFFIXES, read_masks
from monai_chexmask_u.files.atomic import atomic_path, prepare_folder
from monai_chexmask_u.files.faults import fault_of
from monai_chexmask_u.files.naming import folded
from monai_chexmask_u.networks.network_image import fit_frame
from monai_chexmask_u.reading import list_inputs, read_radiograph

__all__ = ["Conversion", "convert_masks", "pair_masks", "parse_labels"]

LANDMARKS: Final = "landmarks.npz"
_UPRIGHT_SIDE: Final = 1024  # of the frame that radiographs are turned upright in; landmarks do not depend on it


@dataclass(frozen=True)
class Conversion:
    """What became of one radiograph: its landmarks ``(120, 2)`` in pixels of the image, or why there are none."""

    image: Path
    landmarks: NDArray[np.float64] | None = None
    message: str = ""


def pair_masks(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Pair radiographs and masks whose names are equal up to their suffixes.

    Args:
        images: folder of radiographs, with its subfolders.
        masks: folder of masks.

    Returns:
        Radiograph and mask, in the order of the radiographs.

    Raises:
        ValueError: if a mask has no radiograph, two masks or radiographs have one name, or there are none.
    """
    found: dict[str, Path] = {}
    for path in sorted(masks.iterdir()) if masks.is_dir() else ():
        suffix = next((each for each in MASK_SUFFIXES if path.name.lower().endswith(each)), None)
        if suffix is None or path.name.startswith("."):
            continue
        name = path.name[: -len(suffix)].removesuffix(".seg").removesuffix(".mask")
        if name in found:
            raise ValueError(f"{path}: {found[name].name} is a mask of the same radiograph; keep one of them")
        found[name] = path
    if not found:
        raise ValueError(f"{masks}: there is no mask here ({', '.join(MASK_SUFFIXES)})")
    radiographs: dict[str, Path] = {}
    for path in list_inputs([images]):
        other = radiographs.setdefault(path.stem, path)
        if other is not path and path.stem in found:
            raise ValueError(
                f"{path}: {other} has the same name, and {found[path.stem].name} may be of either radiograph"
            )
    lonely = sorted(set(found) - set(radiographs))
    if lonely:
        raise ValueError(f"{found[lonely[0]]}: there is no radiograph {lonely[0]} in {images}")
    return [(path, found[name]) for name, path in radiographs.items() if name in found]


def convert_masks(
    pairs: Sequence[tuple[Path, Path]], output: Path, *, labels: Mapping[int, Organ] | None = None
) -> Iterator[Conversion]:
    """Make a data set for training: ``images/`` with copies of the radiographs, and ``landmarks.npz``.

    Args:
        pairs: radiograph and mask.
        output: folder of the data set; exists already. Landmarks of an earlier set in it go with the first new
            radiograph.
        labels: as for `read_masks`.

    Yields:
        One conversion per radiograph; the data set is whole once all have come, and is not written if none has
        landmarks.
    """
    found: dict[str, NDArray[np.float64]] = {}
    prepare_folder(output / "images")
    names = {folded(path.stem): path.name for path in (output / "images").iterdir()}
    for image, mask in pairs:
        try:
            radiograph = read_radiograph(image)
            frame = fit_frame(radiograph, _UPRIGHT_SIDE)
            landmarks = landmarks_of_masks(read_masks(mask, radiograph, labels=labels), frame=frame)
            _check_lungs(landmarks, mask)
            _add_radiograph(image, output, names)
            found[image.stem] = landmarks
            yield Conversion(image, landmarks)
        except ValueError as error:  # the project's own sentences
            yield Conversion(image, message=str(error))
        except Exception as error:  # whatever is wrong with one radiograph, the others are still converted
            yield Conversion(image, message=fault_of(error)[1])
    if found:
        write_arrays(output / LANDMARKS, found)


def _add_radiograph(image: Path, output: Path, names: dict[str, str]) -> None:
    """Copy a radiograph into a data set, whose landmarks would be those of other radiographs from now on.

    Args:
        image: the radiograph.
        output: folder of the data set.
        names: the radiographs in it, by what they are called without suffix.

    Raises:
        ValueError: if another file in it is called so, or one that holds something else.
    """
    path = output / "images" / image.name
    if names.setdefault(folded(image.stem), image.name) != image.name:
        other = path.with_name(names[folded(image.stem)])
        raise ValueError(f"{other} has the name of this radiograph already; choose another folder with -o")
    if os.path.lexists(path) and not (path.is_file() and filecmp.cmp(image, path, shallow=False)):
        raise ValueError(f"{path} is another file of this name: move it away, or choose another folder with -o")
    (output / LANDMARKS).unlink(missing_ok=True)
    with atomic_path(path) as temporary:
        shutil.copyfile(image, temporary)


def parse_labels(text: str) -> dict[int, Organ]:
    """Read which organ a value is, from a text such as ``1=right_lung,2=left_lung``.

    Raises:
        ValueError: if it is none.
    """
    organs = {organ.name: organ for organ in ORGANS}
    labels: dict[int, Organ] = {}
    for entry in text.split(","):
        value, _, name = entry.strip().partition("=")
        if not value.isdecimal() or int(value) == 0 or name not in organs or int(value) in labels:
            raise ValueError(f"{entry!r} is no label: they are like 1=right_lung, with {', '.join(organs)}")
        labels[int(value)] = organs[name]
    return labels


def _check_lungs(landmarks: NDArray[Any], mask: Path) -> None:
    if not np.isfinite(landmarks[: HEART.first_node]).all():
        raise ValueError(f"{mask.name}: a lung is missing; training needs both lungs, the heart may be missing")
