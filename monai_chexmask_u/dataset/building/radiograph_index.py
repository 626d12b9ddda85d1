"""Find the radiograph of a row below a folder of images."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from monai_chexmask_u.dataset.building.radiograph_files import RadiographFile
from monai_chexmask_u.dataset.sources import Source, source_called

__all__ = ["RadiographIndex"]


class RadiographIndex:
    """The radiographs below a folder, by what rows call them.

    A row's path is tried first; then its id, by the naming rule of its source; without a source, the id is compared
    with the radiographs' paths and file names, with and without suffix, of which no two radiographs may have the same.
    The folder is listed when that is needed for the first time.

    Args:
        images: folder of the radiographs, or whatever else can be listed.
    """

    def __init__(self, images: Path) -> None:
        """Keep the folder; nothing is listed yet."""
        self.images = images
        self._of_source: dict[str | None, dict[str, RadiographFile]] = {}

    def find(self, image_id: str, *, image_path: str | None = None, source: str | None = None) -> RadiographFile | None:
        """Return the radiograph of a row, or None if it is not there.

        Args:
            image_id: as the row has it.
            image_path: likewise.
            source: name or title of its data set.

        Raises:
            ValueError: if the folder cannot be listed, or there is no such source.
            RadiographError: if the folder is not there.
        """
        if image_path is not None:
            path = PurePosixPath(image_path)
            inside = not path.is_absolute() and ".." not in path.parts
            if inside and (self.images / path).is_file():
                return RadiographFile(image_id, image_path, self.images / path)
        known = None if source is None else source_called(source)
        key = None if known is None else known.name
        if key not in self._of_source:
            self._of_source[key] = self._listed(known)
        radiographs = self._of_source[key]
        return radiographs.get(image_id) or (radiographs.get(image_path) if image_path is not None else None)

    def _listed(self, source: Source | None) -> dict[str, RadiographFile]:
        from monai_chexmask_u.dataset.building.listing import list_radiographs

        radiographs = list_radiographs(self.images, source=source).radiographs
        if source is not None:
            return {item.image_id: item for item in radiographs} | {item.image_path: item for item in radiographs}
        return _by_all_names(radiographs)


def _by_all_names(radiographs: Iterable[RadiographFile]) -> dict[str, RadiographFile]:
    found: dict[str, RadiographFile] = {}
    twice: set[str] = set()
    for item in radiographs:
        path = PurePosixPath(item.image_path)
        for name in {item.image_id, item.image_path, str(path.with_suffix("")), path.name, path.stem}:
            if name in found:
                twice.add(name)
            found[name] = item
    return {name: item for name, item in found.items() if name not in twice}
