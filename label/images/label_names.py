"""What the values of a submitted mask mean: clients number their segments by order, and send the name of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, ORGANS, RIGHT_LUNG, Organ, organ_called
from monai_chexmask_u.annotations.mask_files import LABELS

__all__ = ["organs_of_values"]

_KNOWN: Final = ", ".join(organ.title for organ in ORGANS)


def organs_of_values(
    info: Mapping[str, Any], *, mirrored: bool
) -> Callable[[NDArray[np.integer[Any]]], Mapping[int, Organ]]:
    """Return what tells which organ each value of a mask is.

    Names come with the label, as ``label_info`` (3D Slicer) or ``params.label_names`` (this server's own inference).
    3D Slicer counts also the segments that it leaves out, so that its ``idx`` may be larger than the value in the mask,
    which is the segment's place in the list; where both readings fit and differ, nobody can tell, and none is taken.
    Without names the usual values are taken if all three organs are there and lie as in a person.

    Args:
        info: what was submitted with the label.
        mirrored: the image is stored so.

    Returns:
        A function for `monai_chexmask_u.annotations.mask_files.read_masks`; it raises ValueError with what to rename.
    """
    names = _names(info)

    def organs(mask: NDArray[np.integer[Any]]) -> Mapping[int, Organ]:
        values = set(np.unique(mask).tolist()) - {0}
        if names is None:
            _check_unnamed(mask, values, mirrored)
            return LABELS
        readings = [reading for reading in _readings(names) if values <= reading.keys()]
        if not readings:
            missing = min(values - _readings(names)[0].keys())
            raise ValueError(f"no name in label_info stands for value {missing}; name each segment: {_KNOWN}")
        found = [_organs(reading, values) for reading in readings]
        if any(each != found[0] for each in found):
            raise ValueError(
                "the numbers in label_info do not tell which segment is which; delete segments that are no organ"
            )
        return found[0]

    return organs


def _names(info: Mapping[str, Any]) -> list[tuple[str, int]] | None:
    """Return name and number of each segment, in the client's order; None where a label came without names.

    Raises:
        ValueError: if there are names that cannot be read.
    """
    listed = info.get("label_info")
    if listed is None:
        params = info.get("params")
        own = params.get("label_names") if isinstance(params, Mapping) else None
        if not isinstance(own, Mapping):
            return None
        listed = [{"name": name, "idx": value} for name, value in own.items()]
    names = []
    for place, each in enumerate(listed if isinstance(listed, list) else [None]):
        name, index = (each.get("name"), each.get("idx", place + 1)) if isinstance(each, Mapping) else (None, None)
        if not isinstance(name, str) or not isinstance(index, int) or isinstance(index, bool) or index < 1:
            raise ValueError(f'label_info must be a list of {{"name": ..., "idx": ...}}, with the names {_KNOWN}')
        names.append((name, index))
    return names


def _readings(names: Sequence[tuple[str, int]]) -> list[dict[int, str]]:
    """Return the names by value: by the client's numbers, and by the place in its list."""
    numbered: dict[int, str] = {}
    for name, index in names:
        if index in numbered:
            raise ValueError(f"label_info has two names for value {index}; number each segment once")
        numbered[index] = name
    return [numbered, {place: name for place, (name, _) in enumerate(names, start=1)}]


def _organs(reading: Mapping[int, str], values: Collection[int]) -> dict[int, Organ]:
    found: dict[int, Organ] = {}
    for value in sorted(values):
        organ = organ_called(reading[value])
        if organ is None:
            raise ValueError(f"segment {reading[value]!r} is none of {_KNOWN}; rename it")
        if organ in found.values():
            raise ValueError(f"two segments are called {organ.title}; rename or join them")
        found[value] = organ
    return found


def _check_unnamed(mask: NDArray[np.integer[Any]], values: Collection[int], mirrored: bool) -> None:
    """See that values without names can be the usual ones: in any other order, the organs would lie otherwise.

    Raises:
        ValueError: if an organ is missing, which leaves more than one reading, or they lie otherwise.
    """
    if not set(values) <= LABELS.keys():
        return  # `read_masks` says which value is unknown
    if len(set(values)) < len(LABELS):
        message = "the label came without names, and without all three organs nobody can tell which it has"
        raise ValueError(f"{message}; send label_info with the names {_KNOWN}")
    columns = {LABELS[value]: float(np.nonzero(mask == value)[1].mean()) for value in values}
    across = [columns[organ] for organ in (RIGHT_LUNG, HEART, LEFT_LUNG)]
    if across != sorted(across, reverse=mirrored):
        message = "the label came without names, and its organs do not lie as 1 right lung, 2 left lung, 3 heart would"
        raise ValueError(f"{message}; send label_info with the names {_KNOWN}")
