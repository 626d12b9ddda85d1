"""ITK's readers, compiled to WebAssembly: reports as text, and presentation states as what they draw and show.

They need no program on the machine. The reader of reports is DCMTK's, as dsrdump is; that of presentation states is the
only judge that looks at their graphics. The first call of each compiles for some seconds and keeps the result.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

__all__ = ["Layer", "itkwasm_presentation", "itkwasm_report", "presented", "report_text"]


class Layer(NamedTuple):
    """What one layer draws: its texts, and its shapes with their points as a flat list (x, y, x, y ...)."""

    texts: tuple[str, ...]
    shapes: tuple[tuple[str, tuple[float, ...]], ...]


def report_text(path: Path) -> str:
    """Return a report as text, as people read it.

    Raises:
        ValueError: if ITK cannot read it.
    """
    from itkwasm_dicom_wasi import structured_report_to_text

    try:
        return str(structured_report_to_text(path))
    except Exception as error:  # what WebAssembly ends with has no class of its own
        raise ValueError(f"ITK cannot read the report: {_cause(error)}") from error


def itkwasm_report(path: Path) -> list[str]:
    """Return a complaint if ITK cannot turn a report into text."""
    try:
        text = report_text(path)
    except ValueError as error:
        return [str(error)]
    return [] if text.strip() else ["the report's text is empty"]


def presented(state: Path, image: Path) -> tuple[dict[str, Layer], NDArray[np.uint8]]:
    """Return the layers of a presentation state by name, and the image ``(row, column)`` as it wants it shown.

    Raises:
        ValueError: if ITK cannot apply it.
    """
    from itkwasm_dicom_wasi import apply_presentation_state_to_image

    with tempfile.TemporaryDirectory() as folder:
        lent = Path(folder) / "spacing.dcm"
        _with_spacing(pydicom.dcmread(state)).save_as(lent)
        try:
            description, rendered = apply_presentation_state_to_image(image, lent)
        except Exception as error:  # as above
            raise ValueError(f"ITK cannot apply the presentation state: {_cause(error)}") from error
    return {layer["Name"]: _drawn(layer) for layer in description["GraphicsLayers"]}, np.asarray(rendered.data)


def itkwasm_presentation(state: Path, image: Path) -> list[str]:
    """Return in which texts and shapes of which layers ITK draws something else than pydicom reads in the file."""
    try:
        found, _ = presented(state, image)
    except ValueError as error:
        return [str(error)]
    expected = _written(pydicom.dcmread(state))
    complaints = [f"layer {name!r} is not drawn" for name in sorted(expected.keys() - found.keys())]
    for name in sorted(expected.keys() & found.keys()):
        if found[name].texts != expected[name].texts:
            complaints.append(f"layer {name!r}: texts {found[name].texts} instead of {expected[name].texts}")
        if not _are_like(found[name].shapes, expected[name].shapes):
            complaints.append(f"layer {name!r}: other shapes or points than in the file")
    return complaints


def _cause(error: Exception) -> str:
    """Return the last line of an error: above it are addresses of machine code."""
    return str(error).strip().rpartition("\n")[2].strip()


def _with_spacing(state: Dataset) -> Dataset:
    """Give a presentation state without pixel spacing one that fits its aspect ratio: ITK cannot do without."""
    for area in state.get("DisplayedAreaSelectionSequence", []):
        if "PresentationPixelSpacing" not in area:
            area.PresentationPixelSpacing = list(map(float, area.PresentationPixelAspectRatio))
            del area.PresentationPixelAspectRatio
    return state


def _drawn(layer: Mapping[str, Any]) -> Layer:
    shapes = ((shape["GraphicType"].upper(), tuple(shape["Points"])) for shape in layer["GraphicObjects"])
    return Layer(tuple(text["Text"] for text in layer["TextObjects"]), tuple(shapes))


def _written(state: Dataset) -> dict[str, Layer]:
    """Return the layers of a file by name; those that are drawn on without being defined, too."""
    layers = {str(layer.GraphicLayer): Layer((), ()) for layer in state.get("GraphicLayerSequence", [])}
    for annotation in state.get("GraphicAnnotationSequence", []):
        name = str(annotation.GraphicLayer)
        texts, shapes = layers.get(name, Layer((), ()))
        texts += tuple(str(text.UnformattedTextValue) for text in annotation.get("TextObjectSequence", []))
        for shape in annotation.get("GraphicObjectSequence", []):
            shapes += ((str(shape.GraphicType), tuple(map(float, shape.get("GraphicData", ())))),)
        layers[name] = Layer(texts, shapes)
    return layers


def _are_like(found: tuple[tuple[str, Any], ...], expected: tuple[tuple[str, Any], ...]) -> bool:
    return len(found) == len(expected) and all(
        kind == wanted and len(points) == len(there) > 0 and np.allclose(points, there, rtol=0, atol=1e-4)
        for (kind, points), (wanted, there) in zip(found, expected, strict=True)
    )
