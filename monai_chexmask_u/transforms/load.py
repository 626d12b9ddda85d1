"""Reading radiographs inside a MONAI pipeline."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

from monai.transforms import MapTransform

from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_radiograph

__all__ = ["LoadRadiographd"]


class LoadRadiographd(MapTransform):
    """Reads files with the project's own reader, so that every way in decides alike on inversion and orientation.

    MONAI's LoadImaged gives (column, row), and whether it inverts MONOCHROME1 depends on the packages installed.

    Args:
        keys: of file paths; each becomes a `Radiograph`.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Read the files of one item.

        Raises:
            RadiographError: if a file cannot be used; it names the file.
        """
        item = dict(data)
        for key in self.key_iterator(item):
            try:
                item[key] = read_radiograph(Path(item[key]))
            except RadiographError as error:
                raise RadiographError(error.code, f"{item[key]}: {error}") from error
        return item
