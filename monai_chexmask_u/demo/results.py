"""From a radiograph and what is done to it to results, files for download, and points of the plot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.demo.alterations import Alteration, union
from monai_chexmask_u.demo.figure import Measure, node_values, radiograph_image
from monai_chexmask_u.demo.sessions import Past, Session, Shown
from monai_chexmask_u.model import Model
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.writers.formats import FORMATS, write_outputs

__all__ = ["MOST_SAMPLES", "moved", "offers", "open_radiograph", "points", "radiograph_of", "segment", "write_result"]

ANY_RADIOGRAPH: Final = ("json", "png", "mask", "csv", "mrk")
DICOM_RADIOGRAPH: Final = ("seg", "sr")
SEED: Final = 0
MOST_SAMPLES: Final = 200
_NONE: Final = Alteration()


def open_radiograph(session: Session, path: Path) -> str:
    """Read a radiograph into a session, which forgets the one before; return the name of its image.

    Raises:
        RadiographError: if the file cannot be used.
    """
    radiograph = read_radiograph(path)
    image = radiograph_image(radiograph)  # before the session changes: it must not keep the image of another radiograph
    session.forget_results()
    # Names of files may be those of patients, and the folder is private.
    session.radiograph, session.file_bytes = replace(radiograph, path=Path("radiograph")), path.stat().st_size
    return session.add_image("radiograph", image)


def radiograph_of(session: Session) -> Radiograph:
    """Return the session's radiograph.

    Raises:
        ValueError: if there is none yet.
    """
    if session.radiograph is None:
        raise ValueError("choose a radiograph first: upload one, or take an example")
    return session.radiograph


def segment(
    session: Session,
    model: Model,
    alteration: Alteration,
    *,
    samples: int,
    cover: str | None = None,
    device: str = "auto",
) -> None:
    """Segment the radiograph as it is, unless that is known, and the altered one.

    Args:
        session: with a radiograph; gets the results.
        model: from `monai_chexmask_u.model.load_model`.
        alteration: what is done to the radiograph.
        samples: latent samples.
        cover: name of an organ whose bounding box is masked as well.
        device: as `Segmenter` takes it.

    Raises:
        ValueError: if there is no radiograph or a setting is out of range.
    """
    radiograph = radiograph_of(session)
    if not samples <= MOST_SAMPLES:
        raise ValueError(f"at most {MOST_SAMPLES} samples are drawn here, got {samples}")
    segmenter = Segmenter(model, num_samples=samples, seed=SEED, device=device)
    if session.before is None or session.before.result.sample_count != samples:
        session.forget_results()
        image = next(name for name in session.images if name.startswith("radiograph"))
        result = segmenter.segment(radiograph)
        session.before = Shown(result.as_measured(radiograph), _NONE, result, image)
        _remember(session, session.before)
    alteration = replace(alteration, mask=union(alteration.mask, _box(session.before.result, cover)))
    session.after = None
    if not alteration.is_none:
        altered = alteration.apply(radiograph, seed=SEED)
        image = session.add_image("altered", radiograph_image(altered))
        result = segmenter.segment(altered)
        session.after = Shown(result.as_measured(altered), alteration, result, image)
        _remember(session, session.after)
    session.forget_files()
    session.runs += 1


def offers(session: Session) -> dict[str, tuple[Shown, str]]:
    """Return what may be downloaded: results and their formats, by the names of the files.

    DICOM objects are only those of a DICOM radiograph as it is, since an altered one is no radiograph of a patient.
    """
    offered = {}
    for name, shown in (("radiograph", session.before), ("altered", session.after)):
        if shown is None:
            continue
        is_dicom = name == "radiograph" and shown.radiograph.header is not None
        for key in (*ANY_RADIOGRAPH, *(DICOM_RADIOGRAPH if is_dicom else ())):
            offered[f"{name}{FORMATS[key].suffix}"] = shown, key
    return offered


def write_result(session: Session, name: str) -> Path | None:
    """Write one of the session's `offers`, unless it is written already; None if it is not among them.

    Raises:
        ValueError: if a DICOM object cannot be made of this radiograph.
        OSError: if there is no room for it.
    """
    if name not in offers(session):
        return None
    shown, key = offers(session)[name]
    folder = session.folder / "results"
    path = folder / name
    if not path.exists():
        folder.mkdir(exist_ok=True)
        write_outputs(shown.result, shown.radiograph, folder, name.partition(".")[0], [key])
    return path


def moved(session: Session, chosen: str) -> str:
    """Return the one severity of the latest result that is not zero, or the chosen one where there is no such."""
    kinds = (
        [] if session.after is None else [name for name, value in session.after.alteration.severities.items() if value]
    )
    return kinds[0] if len(kinds) == 1 else chosen


def points(session: Session, kind: str, measure: Measure) -> dict[str, list[tuple[float, float]]]:
    """Return uncertainty against the severity of one alteration.

    Only results that differ from the latest in this severity alone are taken, so that nothing else moves the points.

    Args:
        session: with its history.
        kind: of `SEVERITIES`.
        measure: mean over the organ's nodes of the predictive uncertainty or the radius; for the latent one there is
            a single value per radiograph.

    Returns:
        Severity and uncertainty in order, by the organ's title.
    """
    latest = session.after or session.before
    found: dict[str, dict[float, float]] = {}
    for past in session.history:
        if latest is not None and _others(past.severities, kind) == _others(latest.alteration.severities, kind):
            for name, value in _by_organ(past.result, measure).items():
                found.setdefault(name, {})[past.severities[kind]] = value
    return {name: sorted(values.items()) for name, values in found.items()}


def _remember(session: Session, shown: Shown) -> None:
    """Keep a result for the plot, without its samples and pixels: in live mode there are many results."""
    session.remember(Past(shown.alteration.severities, replace(shown.result, samples=None, radiograph=None)))


def _box(result: LandmarkSegmentation, cover: str | None) -> NDArray[np.bool_] | None:
    """Return a mask ``(row, column)`` of the box around an organ."""
    organ = next((organ for organ in ORGANS if organ.name == cover), None)
    if organ is None:
        return None
    corners = (result.contour(organ).min(axis=0), result.contour(organ).max(axis=0) + 1)
    (left, top), (right, bottom) = (np.clip(corner, 0, result.shape[::-1]).astype(int) for corner in corners)
    mask = np.zeros(result.shape, dtype=np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def _others(severities: dict[str, float], kind: str) -> dict[str, float]:
    return {name: value for name, value in severities.items() if name != kind}


def _by_organ(result: LandmarkSegmentation, measure: Measure) -> dict[str, float]:
    if measure == "latent":
        return {"Whole radiograph": result.latent_uncertainty}
    values = node_values(result, measure)
    return {} if values is None else {organ.title: float(values[organ.nodes].mean()) for organ in ORGANS}
