"""Names of output files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

__all__ = ["output_names"]


def output_names(paths: Sequence[Path]) -> list[str]:
    """Return a name per input from which its outputs are named; no two are alike.

    It is the file's name without a suffix of images; where that is not unique the suffix stays, and where that is not
    either, folders are put in front.

    Example:
        >>> output_names([Path("a/1.dcm"), Path("a/1.png"), Path("b/2.png")])
        ['1.dcm', '1.png', '2']
    """
    names = [path.stem if path.suffix.lower() in _IMAGE_SUFFIXES else path.name for path in paths]
    names = _replace_repeated(names, [path.name for path in paths])
    depth = 2
    while len(set(names)) < len(names) and depth <= max(len(path.parts) for path in paths):
        names = _replace_repeated(names, ["_".join(path.parts[-depth:]).replace("/", "") for path in paths])
        depth += 1
    taken: set[str] = set()
    for index, name in enumerate(names):
        number = 2
        while names[index] in taken:
            names[index] = f"{name}-{number}"
            number += 1
        taken.add(names[index])
    return names


_IMAGE_SUFFIXES = {".dcm", ".dicom", ".png", ".jpg", ".jpeg", ".tif", ".tiff"}


def _replace_repeated(names: list[str], longer: list[str]) -> list[str]:
    repeated = {name for name, count in Counter(names).items() if count > 1}
    return [long if name in repeated else name for name, long in zip(names, longer, strict=True)]
