"""MONAI Label's datastore on a folder of radiographs: what it lists, how ids are made, and which label counts.

The rules:

- Images are the files of the folder itself that the library takes for radiographs by name or content; not those in
folders.
- An image's id is its file's name without the ending. Where files differ in the ending alone, the first by the alphabet
  has that id, and the others their whole name.
- An image has one label for each tag. The latest submission counts, be it a mask or markups, and older files of it are
  removed. Of files that somebody puts there the newest counts, and none is removed.
- Several processes may use the folder. Notes are read again before each change, and written by one rename. Notes that
  cannot be read are set aside, and begun again from what the folder holds.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from monailabel.datastore.local import DataModel, ImageLabelModel, LocalDatastore, LocalDatastoreModel
from monailabel.interfaces.exception import (
    ImageNotFoundException,
    LabelNotFoundException,
)

from label.images.image_names import IMAGE_ENDINGS, LABEL_ENDINGS, ending_of, plain_name, refused
from label.images.sweep import sweep_radiographs
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import is_candidate, read_radiograph

__all__ = ["ChestLocalDatastore"]

logger = logging.getLogger(__name__)


class ChestLocalDatastore(LocalDatastore):
    """Lists radiographs of a folder and keeps labels beside them, by the rules above.

    Args:
        folder: of the radiographs; is made if it does not exist.
        read_only: nothing is written at the start.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """Open the folder."""
        self._folder = folder
        self._turn = threading.RLock()
        self._is_open = False
        self._seen: tuple[Any, ...] = ()
        folder.mkdir(parents=True, exist_ok=True)
        if not read_only:
            sweep_radiographs(folder)
        # Not MONAI Label's own watcher: it sees events late, and misses those of other processes.
        super().__init__(str(folder), auto_reload=False, read_only=read_only)
        self._is_open = True

    # MONAI Label's class keeps what it knows in `_datastore`; here that is looked up again where files have changed.
    @property
    def _datastore(self) -> LocalDatastoreModel:
        with self._turn:
            if self._is_open and self._stamp() != self._seen:
                self._reconcile_datastore()
            return self._known

    @_datastore.setter
    def _datastore(self, known: LocalDatastoreModel) -> None:
        self._known = known

    def name(self) -> str:
        """Return what viewers show of it: the folder's own name."""
        return self._folder.name

    def get_image_uri(self, image_id: str) -> str:
        """Return the path of an image.

        Raises:
            ImageNotFoundException: if there is no such image.
        """
        return str(super().get_image_uri(self._known_id(image_id)))

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """Return what is noted of an image, and its path."""
        return dict(super().get_image_info(self._known_id(image_id)))

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Note more of an image."""
        with self._change() as entries:
            entries[self._known_id(image_id)].image.info.update(info)

    def update_image_infos(self, infos: Mapping[str, dict[str, Any]]) -> None:
        """Note more of many images with one write; those that are gone are passed over."""
        with self._change() as entries:
            for image_id in infos.keys() & entries.keys():
                entries[image_id].image.info.update(infos[image_id])

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        """Note more of a label."""
        with self._change() as entries:
            label = entries[self._known_id(label_id)].labels.get(label_tag)
            if label is None:
                raise LabelNotFoundException(f"{label_id} has no label {label_tag}")
            label.info.update(info)

    def update_label_infos(self, label_tag: str, infos: Mapping[str, dict[str, Any]]) -> None:
        """Note more of many labels with one write; those that are gone are passed over."""
        if not infos:
            return
        with self._change() as entries:
            for image_id in infos.keys() & entries.keys():
                label = entries[image_id].labels.get(label_tag)
                if label is not None:
                    label.info.update(infos[image_id])

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Copy an image into the folder.

        Args:
            image_id: becomes its file's name.
            image_filename: of the file to copy, which is read once: what is no radiograph is refused.
            image_info: to note of it.

        Raises:
            MONAILabelException: if it is no radiograph, or there is an image of that id.
        """
        source = Path(image_filename)
        try:
            read_radiograph(source)
        except RadiographError as error:
            raise refused(str(error)) from error
        ending = ending_of(source.name, IMAGE_ENDINGS)
        wanted = plain_name(image_id or source.name.removesuffix(ending))
        with self._change() as entries:
            if wanted in entries or (self._folder / (wanted + ending)).exists():
                raise refused(f"there is an image {wanted} already; delete it first, or give another id")
            _copy(source, self._folder / (wanted + ending))
            noted = {**(image_info or {}), "ts": int(time.time()), "name": wanted + ending}
            entries[wanted] = ImageLabelModel(image=DataModel(info=noted, ext=ending))
        return wanted

    def remove_image(self, image_id: str) -> None:
        """Delete an image and all its labels, files included."""
        with self._change() as entries:
            entry = entries.pop(self._known_id(image_id))
            for tag in self._tags():
                for path in self._label_files(image_id, tag):
                    path.unlink(missing_ok=True)
            (self._folder / (image_id + entry.image.ext)).unlink(missing_ok=True)

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        """Keep a label: it takes the place of any that the image has for the tag.

        Raises:
            MONAILabelException: if there is no such image, or the file is no label by its name.
        """
        source = Path(label_filename)
        ending = ending_of(source.name, LABEL_ENDINGS)
        if not ending:
            raise refused(f"a label is one of {', '.join(LABEL_ENDINGS)}; its name must end so")
        folder = Path(self._known.label_path(plain_name(label_tag)))
        with self._change() as entries:
            entry = entries[self._known_id(image_id)]
            folder.mkdir(parents=True, exist_ok=True)
            destination = folder / (image_id + ending)
            _copy(source, destination)
            for path in self._label_files(image_id, label_tag):
                if path != destination:
                    path.unlink()
            noted = {**(label_info or {}), "ts": int(time.time()), "name": destination.name}
            entry.labels[label_tag] = DataModel(info=noted, ext=ending)
        return image_id

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Delete a label, its file included."""
        with self._change() as entries:
            if entries[self._known_id(label_id)].labels.pop(label_tag, None) is None:
                raise LabelNotFoundException(f"{label_id} has no label {label_tag}")
            for path in self._label_files(label_id, label_tag):
                path.unlink(missing_ok=True)

    def _known_id(self, image_id: str) -> str:
        if image_id not in self._datastore.objects:
            raise ImageNotFoundException(f"there is no image {image_id!r} in the studies")
        return image_id

    @contextmanager
    def _change(self) -> Iterator[dict[str, ImageLabelModel]]:
        """Give what is noted now, to be changed, and keep the change."""
        with self._turn, FileLock(self._lock_file):
            self._is_open = False  # nothing is looked up again meanwhile
            try:
                if self._stamp() != self._seen:
                    self._look()
                self._seen = ()  # after a failure, all is looked up again
                yield self._known.objects
                self._write()
                self._seen = self._stamp()
            finally:
                self._is_open = True

    def _reconcile_datastore(self) -> None:
        """Take in what has changed in the folder, and note it if anything has."""
        with self._turn, FileLock(self._lock_file):
            was_open, self._is_open = self._is_open, False
            try:
                stamp = self._stamp()
                if self._look():
                    self._write()
                    stamp = self._stamp()
                self._seen = stamp
            finally:
                self._is_open = was_open

    def _look(self) -> bool:
        """Read the notes, and bring them to what the folder holds; returns whether they differed."""
        self._read()
        before = self._known.model_dump_json()
        entries = self._known.objects
        present = {path.name for path in self._folder.iterdir() if is_candidate(path)}
        for image_id in [each for each, entry in entries.items() if each + entry.image.ext not in present]:
            del entries[image_id]
        known = {image_id + entry.image.ext for image_id, entry in entries.items()}
        for name in sorted(present - known):
            ending = ending_of(name, IMAGE_ENDINGS)
            image_id, ending = (
                (name, "") if name.removesuffix(ending) in entries else (name.removesuffix(ending), ending)
            )
            noted = {"ts": int(time.time()), "name": name}
            entries[image_id] = ImageLabelModel(image=DataModel(info=noted, ext=ending))
        for tag in self._tags():
            self._look_at_labels(tag)
        return bool(before != self._known.model_dump_json())

    def _look_at_labels(self, tag: str) -> None:
        """Bring the labels of a tag to what its folder holds."""
        found: dict[str, Path] = {}
        for path in sorted(Path(self._known.label_path(tag)).glob("[!.]*"), key=lambda each: each.stat().st_mtime_ns):
            ending = ending_of(path.name, LABEL_ENDINGS)
            if ending:
                found[path.name.removesuffix(ending)] = path  # the newest stays
        for image_id, entry in self._known.objects.items():
            label = entry.labels.get(tag)
            if image_id not in found:
                entry.labels.pop(tag, None)
            elif label is None or image_id + label.ext != found[image_id].name:
                noted = {"ts": int(time.time()), "name": found[image_id].name}
                entry.labels[tag] = DataModel(info=noted, ext=found[image_id].name.removeprefix(image_id))

    def _tags(self) -> list[str]:
        place = Path(self._known.label_path(None))
        return sorted(path.name for path in place.iterdir() if path.is_dir()) if place.is_dir() else []

    def _label_files(self, image_id: str, tag: str) -> list[Path]:
        folder = Path(self._known.label_path(tag))
        return [path for path in (folder / (image_id + ending) for ending in LABEL_ENDINGS) if path.is_file()]

    def _stamp(self) -> tuple[Any, ...]:
        """Return what differs as soon as a file came, went or was written again."""
        labels = Path(self._known.label_path(None))
        places = [self._folder, Path(self._datastore_config_path), labels, *(labels / tag for tag in self._tags())]
        found = ((place, place.stat()) for place in places if place.exists())
        # Clocks of file systems are coarse; a file that was replaced has another number, too.
        return tuple((str(place), status.st_mtime_ns, status.st_size, status.st_ino) for place, status in found)

    def _read(self) -> None:
        path = Path(self._datastore_config_path)
        if not path.is_file():
            return
        try:
            self._known = LocalDatastoreModel.model_validate_json(path.read_text(encoding="utf-8"))
        except ValueError:
            path.replace(f"{path}.broken")
            logger.error("%s cannot be read; it is kept as .broken, and notes are started again", path.name)
            self._known = self._known.model_copy(update={"objects": {}})
        self._known.base_path = str(self._folder)

    def _init_from_datastore_file(self, throw_exception: bool = False) -> None:
        """Read the notes when the folder is opened."""
        self._read()

    def _write(self) -> None:
        with atomic_path(Path(self._datastore_config_path)) as temporary:
            notes = self._known.model_dump(exclude={"base_path"})
            temporary.write_text(json.dumps(notes, indent=2, default=str), encoding="utf-8")


def _copy(source: Path, destination: Path) -> None:
    with atomic_path(destination) as temporary:
        shutil.copyfile(source, temporary)
