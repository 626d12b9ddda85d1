"""The end of a MONAI pipeline: from the posterior to the finished segmentation, and to files."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from monai.transforms import MapTransform, SaveImaged

from monai_chexmask_u.files.naming import OutputNames
from monai_chexmask_u.model import identify
from monai_chexmask_u.networks.network_image import fit_frame
from monai_chexmask_u.posterior import LandmarkPosterior
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmenter import segmentation_from_posterior
from monai_chexmask_u.writers.formats import parse_formats, write_outputs
from monai_chexmask_u.writers.result_sets import file_ids, new_results, output_folder

if TYPE_CHECKING:
    from monai_chexmask_u.dicom.numbering import Numbering

__all__ = ["SaveLandmarkSegmentationd", "ToLandmarkSegmentationd"]


class ToLandmarkSegmentationd(MapTransform):
    """Takes one image's posterior back to its image.

    The posterior is replaced by the label mask of the image as stored, uint8, 1 right lung, 2 left lung, 3 heart: what
    MONAI Label and other users of bundles expect of a prediction. It is ``(column, row)``, MONAI's order. The item gets
    ``segmented`` (the `LandmarkSegmentation` and the `Radiograph`) and ``result`` (the record in JSON types, without
    the image's path).

    The radiograph is read again from the path that the network image carries: a `Radiograph` with its DICOM header
    cannot travel through a batch.

    Args:
        keys: of the posterior, a mapping as `LandmarkPosterior` decollates to.
        weights: the file whose weights made the posterior; it is named in every output.
        image_key: of the network image, from `ToNetworkFramed`.
        crop_border: as given to `ToNetworkFramed`.
    """

    def __init__(self, keys: Any, weights: str, image_key: str = "image", crop_border: bool = False) -> None:
        """Read the calibration and the model's name."""
        super().__init__(keys)
        self.identity, self.calibration = identify(Path(weights))
        self.image_key = image_key
        self.crop_border = crop_border

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Finish one item.

        Raises:
            RadiographError: if the file is not the one any more that the network image was made of.
        """
        item = dict(data)
        image = item[self.image_key]
        radiograph = read_radiograph(Path(image.meta["filename_or_obj"]))
        if image.meta.get("sha256", radiograph.sha256) != radiograph.sha256:
            raise RadiographError(
                "changed", f"{radiograph.path}: the file has changed since the run began; start again"
            )
        frame = fit_frame(radiograph, image.shape[-1], crop_border=self.crop_border)
        for key in self.key_iterator(item):
            posterior = LandmarkPosterior(**{name: value.unsqueeze(0) for name, value in item[key].items()})
            segmentation = segmentation_from_posterior(posterior, radiograph, frame, self.identity, self.calibration)
            record = segmentation.to_dict()
            del record["image"]["path"]
            item[key] = torch.from_numpy(segmentation.label_mask().T.copy())
            item |= {"segmented": (segmentation, radiograph), "result": record}
        return item


class SaveLandmarkSegmentationd(SaveImaged):
    """Writes the outputs of one image, as `chexmask-u segment` does.

    It is one of MONAI's transforms that save images, so that MONAI Label, which answers requests and saves nothing,
    leaves it out like these.

    Args:
        keys: of segmentation and radiograph, from `ToLandmarkSegmentationd`.
        output_dir: folder of the results; made if it is not there.
        formats: names of `monai_chexmask_u.writers.formats.FORMATS`, as a list or in one string.

    Raises:
        ValueError: if a format is unknown.
    """

    def __init__(self, keys: Any, output_dir: str, formats: Sequence[str] | str) -> None:
        """Keep the settings."""
        MapTransform.__init__(self, keys)  # nothing else of what saves an array is of use here
        self.formats = parse_formats(formats)
        self.output_dir = Path(output_dir)
        self._names = OutputNames()
        self._numbering: Numbering | None = None

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the outputs of one item, which is returned unchanged.

        They replace all that an earlier run left under their name.

        Raises:
            FolderLockError: if another process writes into the folder for more than a minute.
            RadiographError: if a file of somebody else lies there under the name of an output.
            OSError: if the folder cannot be written to.
        """
        item = dict(data)
        for key in self.key_iterator(item):
            segmentation, radiograph = item[key]
            if not radiograph.why_no_dicom and self._numbering is None:
                from monai_chexmask_u.dicom.numbering import Numbering  # images need no pydicom

                self._numbering = Numbering()
            name = self._names.name_of(radiograph.path, str(item.get("name") or ""))
            inputs = file_ids([radiograph.path])
            with output_folder(self.output_dir, timeout=60), new_results(self.output_dir, name, inputs=inputs) as place:
                write_outputs(segmentation, radiograph, place, name, self.formats, self._numbering)
        return item
