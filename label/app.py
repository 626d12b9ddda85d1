"""The application: which models, strategies, scoring methods and trainers the server has, and where its images are."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monailabel.config import settings
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.exception import ImageNotFoundException, MONAILabelError, MONAILabelException
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask

from label.images.folder_datastore import ChestLocalDatastore
from label.images.sessions import RadiographSessions
from label.images.stored_labels import check_in_background
from label.images.sweep import sweep_models
from label.tasks.infer import LandmarkInfer, ModelInUse, remove_result
from label.tasks.latents import LatentStore
from label.tasks.model_versions import ModelStore
from label.tasks.scoring import LandmarkUncertaintyScoring
from label.tasks.strategies import MostUncertain, UncertainAndDiverse
from label.tasks.task_names import check_name
from label.tasks.training import FineTune
from monai_chexmask_u import __version__
from monai_chexmask_u.archive.failures import ArchiveError
from monai_chexmask_u.files.private_folder import use_private_folder
from monai_chexmask_u.networks.checkpoints import CheckpointError
from monai_chexmask_u.radiograph import RadiographError

__all__ = ["ChestLandmarksApp"]

# MONAI Label logs every request, parameter and label at this level, in a file that is kept.
PROGRAMS = ("monailabel.app", "monailabel.main")
"""MONAI Label's own: its server; only they may have the temporary files of all that runs in their process."""
TALKATIVE = ("monailabel", "timeloop", "dicomweb_client", "multipart")
MOST_LOGGED = 500
"""Characters of a line that MONAI Label's background program logs: it would write out all landmarks of all images."""


def shortened(record: logging.LogRecord) -> bool:
    """Cut a long message, and let it pass; for `logging.Logger.addFilter`."""
    message = record.getMessage()
    if len(message) > MOST_LOGGED:
        record.msg, record.args = f"{message[:MOST_LOGGED]} ... ({len(message)} characters)", ()
    return True


class ChestLandmarksApp(MONAILabelApp):
    """Landmarks and masks of lungs and heart, with their uncertainty, and training on what annotators make of them.

    Args:
        app_dir: the folder of this file; models that are trained here are kept in its folder ``model``.
        studies: a folder of radiographs, or the address of a DICOMweb archive.
        conf: of the server, see `README.md`: ``model``, ``models``, ``device``, ``samples``, ``seed``, ``replay``,
            ``balance``, and for archives ``modalities`` and ``allow_plain_http``.

    Raises:
        ValueError: if a value of the configuration cannot be used.
    """

    def __init__(self, app_dir: str, studies: str, conf: Mapping[str, str]) -> None:
        """Set up everything; the model is loaded with the first radiograph."""
        for name in TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        logging.getLogger("__main__").addFilter(shortened)
        conf = dict(conf or {})
        if any(name in sys.modules for name in PROGRAMS):
            use_private_folder("label")
        folder = Path(conf.get("models") or Path(app_dir) / "model")
        sweep_models(folder)
        self.store = ModelStore(folder, Path(conf["model"]) if conf.get("model") else None)
        self.latents = LatentStore(folder / "latents", studies)
        self.model = ModelInUse(
            self.store,
            samples=int(conf.get("samples", 50)),
            seed=int(conf.get("seed", 0)),
            device=conf.get("device", "auto"),
        )
        super().__init__(
            app_dir,
            studies,
            conf,
            name="Chest landmarks",
            description="Landmarks of lungs and heart on frontal chest radiographs, and how sure the model is of each",
            version=__version__,
        )
        self._extend_server()

    def _extend_server(self) -> None:
        """Add routes and answers to errors to the server, if this process is one."""
        server = sys.modules.get("monailabel.app")
        if server is not None:
            from label.server.extension import extend

            extend(server.app, self, self.model.segment)
            datastore = self.datastore()
            if isinstance(datastore, ChestLocalDatastore) and not settings.MONAI_LABEL_DATASTORE_READ_ONLY:
                check_in_background(datastore)

    def init_infers(self) -> dict[str, InferTask]:
        """Return the models."""
        return {
            "chest_segmentation": LandmarkInfer(self.model, InferType.SEGMENTATION),
            "chest_landmarks": LandmarkInfer(self.model, InferType.DETECTION),
        }

    def init_trainers(self) -> dict[str, TrainTask]:
        """Return what trains the models."""
        replay = self.conf.get("replay")
        return {"chest_landmarks": FineTune(self.store, Path(replay) if replay else None)}

    def init_strategies(self) -> dict[str, Strategy]:
        """Return the ways to choose what is annotated next."""
        balance = float(self.conf.get("balance", 0.5))
        return {
            "most_uncertain": MostUncertain(),
            "uncertain_and_diverse": UncertainAndDiverse(self.store, self.latents, balance),
            **super().init_strategies(),
        }

    def init_scoring_methods(self) -> dict[str, ScoringMethod]:
        """Return what scores the images that nobody has annotated."""
        return {
            "landmark_uncertainty": LandmarkUncertaintyScoring(self.store, self.latents, self.model.defaults["device"])
        }

    def init_datastore(self) -> Datastore:
        """Open the images."""
        if self.studies.startswith(("http://", "https://")):
            from label.images.dicomweb_settings import open_datastore

            return open_datastore(self.studies, self.conf)
        return ChestLocalDatastore(Path(self.studies), read_only=settings.MONAI_LABEL_DATASTORE_READ_ONLY)

    def _load_sessions(self, load: bool = False) -> RadiographSessions | None:
        """Open the sessions, unless they are switched off."""
        return (
            RadiographSessions(settings.MONAI_LABEL_SESSION_PATH, settings.MONAI_LABEL_SESSION_EXPIRY) if load else None
        )

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> Any:
        """Run a model on an image of the studies, or on a file that was sent.

        Args:
            request: ``model``; ``image``, an id of the datastore or the absolute path of what was sent; ``save_label``
                with ``label_tag`` keeps the result as a label of the image; and what `LandmarkInfer` takes.
            datastore: of the images; the app's own by default.

        Returns:
            ``file`` (for `remove_result`), ``label``, ``tag`` and ``params``.

        Raises:
            MONAILabelException: if there is no such model or image.
            RadiographError: if the image cannot be used.
        """
        model, image = request.get("model"), request.get("image")
        check_name(self, "model", model)
        if not isinstance(image, str) or not image:
            raise MONAILabelException(MONAILabelError.INVALID_INPUT, "name an image, by its id in the datastore")
        datastore = datastore or self.datastore()
        # MONAI Label's own method takes an id for a path if the server was started beside a file of that name.
        is_sent = Path(image).is_absolute()
        path = image if is_sent else datastore.get_image_uri(image)
        file, params = self._infers[model](request | {"image": path})
        label, tag = file, request.get("label_tag") or DefaultLabelTag.ORIGINAL
        if file and request.get("save_label") and not is_sent:
            try:
                label = datastore.save_label(image, file, tag, {"model": model, "params": params})
            except Exception:
                remove_result(file)
                raise
        return {"label": label, "tag": tag, "file": file, "params": params}

    def batch_infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> Any:
        """Run a model on many images; on the CPU if there is no GPU, whatever MONAI Label's clients ask for.

        An image that cannot be used gets ``error`` (a sentence) for a result and does not stop the others.

        Raises:
            MONAILabelException: if there is no such model or image.
        """
        check_name(self, "model", request.get("model"))
        images = request.get("images")
        if isinstance(images, list):
            known = set((datastore or self.datastore()).list_images())
            unknown = [each for each in images if each not in known]
            if unknown:
                raise ImageNotFoundException(f"there is no image {unknown[0]!r} in the studies")
        request = request | {"multi_gpu": False, "device": _device(request)}
        return self._batch_infer(request, datastore or self.datastore(), self._infer_of_batch)

    def _infer_of_batch(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Run a model on one of many images, and keep no file beside the label."""
        try:
            result: dict[str, Any] = self.infer(request, datastore)
        except MONAILabelException as error:
            return {"error": error.msg}
        except (RadiographError, ArchiveError) as error:
            return {"error": str(error)}
        remove_result(result.pop("file"))
        return result

    def scoring(self, request: dict[str, Any], datastore: Datastore | None = None) -> Any:
        """Run a scoring method.

        Raises:
            MONAILabelException: if there is no such method, or a value of the request cannot be used.
        """
        check_name(self, "scoring method", request.get("method"))
        try:
            return super().scoring(request, datastore)
        except CheckpointError:
            raise
        except ValueError as error:
            raise MONAILabelException(MONAILabelError.INVALID_INPUT, str(error)) from error

    def async_scoring(self, method: str | None, params: Any = None) -> Any:
        """Start scoring in a process of its own; MONAI Label does so after each choice of an image, needed or not."""
        scoring = self._scoring_methods.get("landmark_uncertainty")
        if not method and isinstance(scoring, LandmarkUncertaintyScoring) and not scoring.pending(self.datastore()):
            return {}
        return super().async_scoring(method, params)

    def train(self, request: dict[str, Any]) -> Any:
        """Run a training."""
        check_name(self, "trainer", request.get("model"))
        return super().train(request)

    def next_sample(self, request: dict[str, Any]) -> Any:
        """Choose the image to annotate next."""
        check_name(self, "strategy", request.get("strategy") or "random")
        return super().next_sample(request)

    def infer_wsi(self, request: dict[str, Any], datastore: Datastore | None = None) -> Any:
        """Refuse: this takes any path of the server, and radiographs are no slides."""
        raise MONAILabelException(MONAILabelError.INVALID_INPUT, "radiographs are no whole-slide images; use /infer")


def _device(request: Mapping[str, Any]) -> str:
    import torch

    wanted = str(request.get("device") or "auto")
    return wanted if wanted.startswith("cpu") or torch.cuda.is_available() else "auto"
