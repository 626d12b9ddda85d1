"""Writing segmentations at the end of a MONAI pipeline."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from monai.transforms import MapTransform

from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.model import load_calibration, model_identity
from monai_chexmask_u.posterior import LandmarkPosterior
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmenter import segmentation_from_posterior
from monai_chexmask_u.transforms.network_frame import fit_frame
from monai_chexmask_u.writers.formats import write_outputs
from monai_chexmask_u.writers.naming import output_names

__all__ = ["SaveLandmarkSegmentationd"]


class SaveLandmarkSegmentationd(MapTransform):
    """Takes one image's posterior back to its image and writes the outputs, as `chexmask-u segment` does.

    The radiograph is read again from the path that the network image carries: a `Radiograph` with its DICOM header
    cannot travel through a batch.

    Args:
        keys: of the posterior, a mapping as `LandmarkPosterior` decollates to; it stays as it is.
        output_dir: folder of the results; made if it is not there.
        formats: keys of `monai_chexmask_u.writers.formats.FORMATS`.
        weights: the file whose weights made the posterior; it is named in every output.
        image_key: of the network image, from `ToNetworkFramed`.
        crop_border: as given to `ToNetworkFramed`.
    """

    def __init__(
        self,
        keys: Any,
        output_dir: str,
        formats: Sequence[str],
        weights: str,
        image_key: str = "image",
        crop_border: bool = False,
    ) -> None:
        """Keep the settings and make the folder."""
        super().__init__(keys)
        self.output_dir = Path(output_dir)
        self.output_dir.mkdir(parents=True, exist_ok=True)
        self.formats = list(formats)
        self.calibration = load_calibration(Path(weights))
        digest = self.calibration.sha256 if self.calibration else None
        self.identity = replace(model_identity(Path(weights)), calibration_sha256=digest)
        self.numbering = Numbering()
        self.image_key = image_key
        self.crop_border = crop_border

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the outputs of one item."""
        item = dict(data)
        image = item[self.image_key]
        radiograph = read_radiograph(Path(image.meta["filename_or_obj"]))
        frame = fit_frame(radiograph, image.shape[-1], crop_border=self.crop_border)
        name = item.get("name") or output_names([radiograph.path])[0]
        for key in self.key_iterator(item):
            posterior = LandmarkPosterior(**{field: value.unsqueeze(0) for field, value in item[key].items()})
            segmentation = segmentation_from_posterior(posterior, radiograph, frame, self.identity, self.calibration)
            write_outputs(segmentation, radiograph, self.output_dir, name, self.formats, self.numbering)
        return item
