"""The infer tasks: the library's `Segmenter` on an image, and its result as a file that clients of MONAI Label take."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

from monailabel.interfaces.exception import MONAILabelError, MONAILabelException
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from label.tasks.model_versions import ModelStore
from label.tasks.result_files import LANDMARK_WRITERS, MASK_WRITERS
from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.model import weights_file
from monai_chexmask_u.networks.checkpoints import CheckpointError
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.reading import list_inputs, read_radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.writers.record import segmentation_record

__all__ = ["LABELS", "LandmarkInfer", "ModelInUse", "read_image", "remove_result", "segmentation_params"]

# Numbers in the mask, by the names that all outputs use.
LABELS: Final = {organ.name: number for number, organ in enumerate(ORGANS, start=1)}
MAX_SAMPLES: Final = 1000


class ModelInUse:
    """Segments with the version of the model that is in use, one radiograph at a time.

    A lock is needed: moving the network to another device would pull it from under a radiograph being segmented.

    Args:
        store: of the models.
        samples: latent samples per image, where a request does not say.
        seed: of the samples, likewise.
        device: as `Segmenter` takes it, likewise.
    """

    def __init__(self, store: ModelStore, *, samples: int = 50, seed: int = 0, device: str = "auto") -> None:
        """Keep the defaults; the model is loaded with the first radiograph."""
        self.store = store
        self.defaults: dict[str, Any] = {"samples": samples, "seed": seed, "device": device}
        self._turn = threading.Lock()

    def segment(self, radiograph: Radiograph, request: Mapping[str, Any] | None = None) -> LandmarkSegmentation:
        """Segment a radiograph.

        Args:
            radiograph: what to segment.
            request: ``samples``, ``seed`` and ``device`` for this radiograph.

        Raises:
            ValueError: if a value of the request cannot be used.
        """
        asked = self.defaults | {key: value for key, value in (request or {}).items() if key in self.defaults}
        samples, seed = _whole_number(asked, "samples", 2, MAX_SAMPLES), _whole_number(asked, "seed", 0, 2**63 - 1)
        device = str(asked["device"] or "auto")
        with self._turn:
            segmenter = Segmenter(self.store.load(), num_samples=samples, seed=seed, device=device)
            return segmenter.segment(radiograph)


class LandmarkInfer(InferTask):
    """Gives one kind of result: the label mask, or the landmarks as markups of 3D Slicer.

    Args:
        model: segments.
        kind: ``segmentation``, or ``detection``, which is what 3D Slicer's plugin asks for points.
    """

    def __init__(self, model: ModelInUse, kind: InferType) -> None:
        """Describe the model to clients."""
        is_mask = kind == InferType.SEGMENTATION
        what = "Label mask" if is_mask else "Landmarks with the uncertainty of each, as markups"
        super().__init__(
            type=kind,
            labels=LABELS,
            dimension=2,
            description=f"{what} of lungs and heart on a frontal chest radiograph",
            config={key: model.defaults[key] for key in ("samples", "seed")},
        )
        self.model = model
        self.writers = MASK_WRITERS if is_mask else LANDMARK_WRITERS
        self.default_extension = next(iter(self.writers))

    def is_valid(self) -> bool:
        """Return that it can always be used: the store falls back on the shipped model."""
        return True

    def get_path(self, validate: bool = True) -> str:
        """Return the weights in use, which `GET /model` serves."""
        return str(weights_file(self.model.store.current().path))

    def __call__(self, request: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """Segment an image.

        Args:
            request: ``image`` (path of a file, or of a folder that holds one radiograph), ``samples``, ``seed``,
                ``device``, ``result_extension``, ``result_dtype``, ``result_compress``, ``result_write_to_file``.

        Returns:
            Path of the result's file in a folder of its own, or None if none was wanted; and the parameters:
            ``chexmask_u``, the record that ``chexmask-u segment`` writes, without a path; ``label_names``;
            ``latencies`` in seconds.

        Raises:
            RadiographError: if the image cannot be used.
            MONAILabelException: if a value of the request cannot be used.
            CheckpointError: if there is no model to use.
        """
        extension = self._extension(request)
        started = time.monotonic()
        radiograph = read_image(Path(request["image"]))
        read = time.monotonic()
        try:
            segmentation = self.model.segment(radiograph, request)
            inferred = time.monotonic()
            path = None
            if request.get("result_write_to_file", True):
                path = self._write(self.writers[extension], extension, segmentation, radiograph, request)
        except CheckpointError:
            raise
        except ValueError as error:
            raise MONAILabelException(MONAILabelError.INVALID_INPUT, str(error)) from error
        ended = time.monotonic()
        params = segmentation_params(segmentation, radiograph)
        steps = {"pre": read - started, "infer": inferred - read, "write": ended - inferred, "total": ended - started}
        params["latencies"] = {name: round(seconds, 3) for name, seconds in steps.items()}
        return path, params

    def _extension(self, request: Mapping[str, Any]) -> str:
        """Return the ending of the result's file."""
        wanted = str(request.get("result_extension") or self.default_extension)
        wanted = wanted if wanted.startswith(".") else f".{wanted}"
        if wanted in self.writers:
            return wanted
        if self.type == InferType.DETECTION and wanted in MASK_WRITERS:
            return self.default_extension  # 3D Slicer's plugin asks every model for .nrrd
        message = f"result_extension {wanted!r} is not one of {', '.join(self.writers)}"
        raise MONAILabelException(MONAILabelError.INVALID_INPUT, message)

    def _write(
        self,
        write: Callable[..., None],
        extension: str,
        segmentation: LandmarkSegmentation,
        radiograph: Radiograph,
        request: Mapping[str, Any],
    ) -> str:
        path = Path(mkdtemp(prefix="chexmask-u-")) / f"result{extension}"
        dtype, compress = str(request.get("result_dtype") or "uint8"), bool(request.get("result_compress", True))
        try:
            write(segmentation, radiograph, path, dtype, compress)
        except Exception:
            remove_result(str(path))
            raise
        return str(path)


def remove_result(file: str | None) -> None:
    """Remove a result's file, and its folder."""
    if file:
        shutil.rmtree(Path(file).parent, ignore_errors=True)


def segmentation_params(segmentation: LandmarkSegmentation, radiograph: Radiograph) -> dict[str, Any]:
    """Return what a result says beside its file; no path, which would show where the server keeps its radiographs."""
    record = segmentation_record(segmentation, radiograph)
    del record["image"]["path"]
    return {"chexmask_u": record, "label_names": dict(LABELS)}


def read_image(path: Path) -> Radiograph:
    """Read a radiograph from a file, or the only one of a folder.

    Raises:
        RadiographError: if it cannot be used.
        MONAILabelException: if a folder holds no radiograph or several.
    """
    if not path.is_dir():
        return read_radiograph(path)
    radiographs = list_inputs([path])
    if len(radiographs) != 1:
        message = f"the folder holds {len(radiographs)} images, and one is wanted; name the file"
        raise MONAILabelException(MONAILabelError.INVALID_INPUT, message)
    return read_radiograph(radiographs[0])


def _whole_number(request: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = request[name]
    try:
        number = int(str(value))
    except ValueError:
        number = low - 1
    if isinstance(value, bool) or not low <= number <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, got {value!r}")
    return number
