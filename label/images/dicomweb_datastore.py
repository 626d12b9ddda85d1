"""MONAI Label's datastore on a DICOMweb archive: images are DICOM files as stored, labels are segmentations in it."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from monailabel.datastore.local import DataModel, ImageLabelModel, LocalDatastore
from monailabel.interfaces.datastore import DefaultLabelTag
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException

from label.images.cached_datastore import CachedDatastore
from label.images.dicomweb_radiographs import ArchiveAnnotation, ArchiveRadiographs
from label.images.image_names import label_extension, refused
from label.images.submissions import read_submission
from monai_chexmask_u.archive.fetch import MODALITIES
from monai_chexmask_u.archive.objects import is_uid
from monai_chexmask_u.archive.settings import DicomwebArchive
from monai_chexmask_u.dicom.seg.annotation import write_annotation
from monai_chexmask_u.files.leftovers import partial_folder
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_radiograph

__all__ = ["ChestDICOMwebDatastore"]

FINAL: Final = str(DefaultLabelTag.FINAL.value)


class ChestDICOMwebDatastore(CachedDatastore):
    """Lists the CR and DX series of an archive, and stores labels there as segmentations.

    MONAI Label's own class converts images to NIfTI, which inverts some and loses their headers, and cannot write
    segmentations of projections. An image's id is its Series Instance UID, here as there.

    The archive is not asked before a request needs it, so that the server starts without it.

    Args:
        archive: where the radiographs are.
        cache: folder for copies of them, which holds patient data; a folder per archive is made in it.
        modalities: of the series to list.
        expiry_s: seconds for which the archive's lists are taken to be valid.
    """

    def __init__(
        self,
        archive: DicomwebArchive,
        cache: Path,
        *,
        modalities: tuple[str, ...] = MODALITIES,
        expiry_s: float = 60.0,
    ) -> None:
        """Open the cache."""
        self._archive = archive
        folder = cache / hashlib.sha256(archive.url.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._radiographs = ArchiveRadiographs(archive, folder, modalities)
        self._expiry_s = expiry_s
        self._listed: dict[str, str] | None = None
        self._annotated: dict[str, ArchiveAnnotation] | None = None
        self._listed_at = 0.0
        super().__init__(folder)

    def name(self) -> str:
        """Return the archive's address."""
        return self._archive.url

    def list_images(self) -> list[str]:
        """Return the series that may be radiographs, but for those that turned out to hold none."""
        return [uid for uid in self._series() if not self._radiographs.is_refused(uid)]

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Return the radiographs that a person has labeled, here or elsewhere."""
        labeled = self._annotations()
        return [uid for uid in self.list_images() if uid in labeled]

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Return the radiographs that nobody has labeled."""
        labeled = self._annotations()
        return [uid for uid in self.list_images() if uid not in labeled]

    def get_image_uri(self, image_id: str) -> str:
        """Return the path of a radiograph's DICOM file, which is fetched first where need be.

        Raises:
            ImageNotFoundException: if the archive has no such series.
            RadiographError: if the series holds no radiograph, or several.
            ArchiveError: if the archive does not give it.
        """
        if is_uid(image_id) and self._radiographs.path(image_id).is_file():
            return str(self._radiographs.path(image_id))  # also while the archive is away
        return str(self._radiographs.fetch(image_id, self._study_of(image_id)))

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """Return what is known of an image: its UIDs, and what scoring and strategies noted; nothing of the patient."""
        entry = self._entries().get(image_id)
        info = dict(entry.image.info) if entry else self._basic_info(image_id)
        return info | {"path": str(self._radiographs.path(image_id))}

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Note something of an image, which need not be fetched."""
        self._study_of(image_id)
        self.update_image_infos({image_id: info})

    def update_image_infos(self, infos: Mapping[str, dict[str, Any]]) -> None:
        """Note something of several images at once; those that the archive no longer has are passed over."""
        present = {image_id: info for image_id, info in infos.items() if image_id in self._series()}
        with self._change() as entries:
            for image_id, info in present.items():
                self._entry_in(entries, image_id).image.info.update(info)

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        """Note something of a label."""
        self.get_label_uri(label_id, label_tag)
        with self._change():
            super().update_label_info(label_id, label_tag, info)

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        """Return what is known of a label."""
        self.get_label_uri(label_id, label_tag)
        return dict(super().get_label_info(label_id, label_tag))

    def get_labels_by_image_id(self, image_id: str) -> dict[str, str]:
        """Return the tags of an image's labels, each with the label's id, which is the image's."""
        entry = self._entries().get(image_id)
        tags = {tag: image_id for tag in entry.labels if tag != FINAL} if entry else {}
        return tags | ({FINAL: image_id} if image_id in self._annotations() else {})

    def get_label_uri(self, label_id: str, label_tag: str, image_id: str = "") -> str:
        """Return the path of a label's file, or nothing if there is none; a final label is the archive's latest.

        It is the file that was submitted here, or the segmentation from the archive if somebody else's is later.
        """
        if label_tag != FINAL:
            self._entries()
            return str(LocalDatastore.get_label_uri(self, label_id, label_tag))
        annotation = self._annotations().get(label_id)
        if annotation is None:
            return ""
        entry = self._entries().get(label_id)
        label = entry.labels.get(FINAL) if entry else None
        if label is None or label.info.get("SeriesInstanceUID") != annotation.series_uid:
            return str(self._fetch_label(label_id, annotation))
        path = self._label_path(label_id, FINAL, label.ext)
        return str(path if path.is_file() else self._fetch_label(label_id, annotation))

    def datalist(self, full_path: bool = True) -> list[dict[str, Any]]:
        """Return the files of labeled images and of their labels, for training."""
        pairs = []
        for image_id in self.get_labeled_images():
            try:
                image = self.get_image_uri(image_id)
            except RadiographError as refusal:
                logging.getLogger(__name__).warning("%s; its label is left out", refusal)
                continue
            pairs.append({"image": image, "label": self.get_label_uri(image_id, FINAL)})
        if full_path:
            return pairs
        return [
            {key: str(Path(path).relative_to(self._datastore_path)) for key, path in each.items()} for each in pairs
        ]

    def save_label(
        self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any], label_id: str = ""
    ) -> str:
        """Save a label; a final one becomes a DICOM segmentation in the archive.

        Raises:
            ImageNotFoundException: if there is no such image.
            MONAILabelException: if the file is no label of that image.
            ArchiveError: if the archive does not take it; then nothing is saved.
        """
        image, source = self.get_image_uri(image_id), Path(label_filename)
        info = dict(label_info)
        if label_tag == FINAL:
            radiograph = read_radiograph(Path(image))
            try:
                submission = read_submission(source, radiograph, info)
            except ValueError as error:
                raise refused(str(error)) from error
            with partial_folder(Path(self._datastore_path)) as temporary:
                path = temporary / "label.dcm"
                info["SeriesInstanceUID"] = write_annotation(
                    submission.masks, radiograph, path, algorithm_type=submission.algorithm_type
                )
                self._radiographs.store(path)
                self._forget_lists()
                if not submission.is_exact:  # the segmentation is all that is known
                    return self._keep_label(image_id, path, FINAL, ".dcm", info)
        return self._keep_label(image_id, source, label_tag, label_extension(source.name), info)

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Refuse: images come from the archive."""
        raise refused("images come from the archive; send the image there")

    def remove_image(self, image_id: str) -> None:
        """Refuse: the archive decides."""
        raise refused("images lie in the archive; remove the series there")

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Remove a label of this server; a final one lies in the archive, and DICOMweb cannot remove it."""
        if label_tag == FINAL:
            raise refused("final labels lie in the archive; remove the series of the segmentation there")
        path = self.get_label_uri(label_id, label_tag)
        if not path:
            raise LabelNotFoundException(f"{label_id} has no label {label_tag}")
        Path(path).unlink(missing_ok=True)
        with self._change() as entries:
            if label_id in entries:
                entries[label_id].labels.pop(label_tag, None)

    def refresh(self) -> None:
        """Ask the archive again at the next request."""
        self._forget_lists()

    def status(self) -> dict[str, Any]:
        """Return how many radiographs there are, how many are labeled, and how many labels of each tag."""
        tags = Counter(tag for entry in self._entries().values() for tag in entry.labels if tag != FINAL)
        labeled = len(self.get_labeled_images())
        counts = dict(tags) | ({FINAL: labeled} if labeled else {})
        return {"total": len(self.list_images()), "completed": labeled, "label_tags": counts}

    def json(self) -> dict[str, Any]:
        """Return everything that is known of all radiographs, fetched or not."""
        known = self._entries()
        labeled = self._annotations()
        objects = {}
        for uid in self.list_images():
            entry = self._entry_in(known, uid)
            labels = {tag: label.model_dump() for tag, label in entry.labels.items() if tag != FINAL}
            if uid in labeled:
                here = entry.labels.get(FINAL)
                info = {"SeriesInstanceUID": labeled[uid].series_uid}
                labels[FINAL] = here.model_dump() if here and info.items() <= here.info.items() else {"info": info}
            objects[uid] = {"image": entry.image.model_dump(), "labels": labels}
        return {"name": self.name(), "description": self.description(), "objects": objects}

    def _series(self) -> dict[str, str]:
        """Return the studies of the series that may be radiographs; what is gone from the archive is forgotten."""
        if self._listed is not None and time.monotonic() < self._listed_at + self._expiry_s:
            return self._listed
        self._forget_lists()
        found = self._radiographs.series()
        self._radiographs.forget(found)
        gone = self._entries().keys() - found.keys()
        if gone:
            with self._change() as entries:
                for uid in gone:
                    self._forget_labels(uid, entries.pop(uid, None))
        self._listed, self._listed_at = found, time.monotonic()
        return found

    def _annotations(self) -> dict[str, ArchiveAnnotation]:
        series = self._series()
        found = self._radiographs.annotations(series) if self._annotated is None else self._annotated
        self._annotated = found
        return found

    def _forget_lists(self) -> None:
        """Ask the archive again at the next request."""
        self._listed = self._annotated = None

    def _study_of(self, image_id: str) -> str:
        """Return the study of a radiograph; what is not in the list yet may have come since."""
        if is_uid(image_id):
            if image_id not in self._series():
                self._forget_lists()
            if image_id in self._series():
                return self._series()[image_id]
        raise ImageNotFoundException(f"Image {image_id} not found: the archive has no CR or DX series with this UID")

    def _entry_in(self, entries: dict[str, ImageLabelModel], image_id: str) -> ImageLabelModel:
        """Return what is noted of a radiograph in the archive; a note is begun where there is none."""
        return entries.setdefault(
            image_id, ImageLabelModel(image=DataModel(ext=".dcm", info=self._basic_info(image_id)))
        )

    def _basic_info(self, image_id: str) -> dict[str, Any]:
        return {"SeriesInstanceUID": image_id, "StudyInstanceUID": self._study_of(image_id)}

    def _fetch_label(self, image_id: str, annotation: ArchiveAnnotation) -> Path:
        """Fetch a label from the archive, and note from which series it is."""
        self.get_image_uri(image_id)
        with partial_folder(Path(self._folder)) as temporary:
            path = temporary / "label.dcm"
            self._radiographs.fetch_annotation(annotation, path)
            self._keep_label(image_id, path, FINAL, ".dcm", {"SeriesInstanceUID": annotation.series_uid})
        return self._label_path(image_id, FINAL, ".dcm")

    def _forget_labels(self, image_id: str, entry: ImageLabelModel | None) -> None:
        for tag, label in entry.labels.items() if entry else ():
            self._label_path(image_id, tag, label.ext).unlink(missing_ok=True)
