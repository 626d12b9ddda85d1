"""The file in which a datastore on an archive notes what it knows of images, shared by the server and its tasks."""

from __future__ import annotations

import json
import shutil
import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from monailabel.datastore.dicom import DICOMWebDatastore
from monailabel.datastore.local import DataModel, ImageLabelModel, LocalDatastore

from label.images.image_names import label_extension, plain_name
from monai_chexmask_u.files.atomic import atomic_path

__all__ = ["CachedDatastore"]


class CachedDatastore(DICOMWebDatastore):
    """Keeps notes on images in one file, which several processes read and change without losing each other's notes.

    MONAI Label's own class, which endpoints ask a datastore to be one of, watches the file instead, notices changes
    late and may write over them.

    Args:
        folder: for the file, the images and the labels; exists.
    """

    def __init__(self, folder: Path) -> None:
        """Open the notes."""
        self._folder = folder
        self._turns = FileLock(str(folder / ".turns"))
        # Past DICOMWebDatastore, whose set-up wants its own client and converts images. Read-only: nothing is guessed
        # from the files in the folder.
        LocalDatastore.__init__(self, str(folder), auto_reload=False, read_only=True)

    def _to_id(self, file: str) -> tuple[str, str]:
        """Split a file's name; a UID has dots, too."""
        extension = label_extension(file)
        return file.removesuffix(extension), extension

    def _entries(self) -> dict[str, ImageLabelModel]:
        """Return what is noted now."""
        self._init_from_datastore_file()
        entries: dict[str, ImageLabelModel] = self._datastore.objects
        return entries

    @contextmanager
    def _change(self) -> Iterator[dict[str, ImageLabelModel]]:
        """Give what is noted now, to be changed, and keep the change."""
        with self._turns:
            yield self._entries()
            self._update_datastore_file()

    def _update_datastore_file(self, lock: bool = True) -> None:
        path = Path(self._datastore_config_path)
        with atomic_path(path) as temporary:
            notes = self._datastore.model_dump(exclude={"base_path"})
            temporary.write_text(json.dumps(notes, indent=2, default=str), encoding="utf-8")
        self._config_ts = path.stat().st_mtime

    @abstractmethod
    def _entry_in(self, entries: dict[str, ImageLabelModel], image_id: str) -> ImageLabelModel:
        """Return what is noted of an image; a note is begun where there is none."""

    def _label_path(self, image_id: str, tag: str, extension: str) -> Path:
        return Path(self._datastore.label_path(plain_name(tag))) / f"{image_id}{extension}"

    def _keep_label(self, image_id: str, source: Path, tag: str, extension: str, info: dict[str, Any]) -> str:
        """Copy a label's file to its place, note it, and return the label's id, which is the image's."""
        path = self._label_path(image_id, tag, extension)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            shutil.copyfile(source, temporary)
        with self._change() as entries:
            noted = info | {"ts": int(time.time()), "name": path.name}
            self._entry_in(entries, image_id).labels[tag] = DataModel(ext=extension, info=noted)
        return image_id
