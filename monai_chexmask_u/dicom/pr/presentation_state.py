"""DICOM Grayscale Softcopy Presentation State (GSPS): contours, uncertainty and verdict drawn on the radiograph."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from highdicom import PresentationLUTTransformation
from highdicom.color import CIELabColor
from highdicom.pr import GraphicAnnotation, GraphicLayer, GraphicObject, GrayscaleSoftcopyPresentationState, TextObject
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from monai_chexmask_u.anatomy import NODE_IDS, ORGANS, Organ
from monai_chexmask_u.dicom.equipment import CONTENT_CREATOR, EQUIPMENT
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.pr.gray_values import GRAY_VALUE_KEYWORDS, set_gray_values
from monai_chexmask_u.dicom.reading.quiet import no_warnings
from monai_chexmask_u.dicom.reading.spacing import aspect_ratio
from monai_chexmask_u.dicom.reading.values import decimal
from monai_chexmask_u.dicom.source import SourceImage, TrackingIds
from monai_chexmask_u.dicom.sr.measurements import to_scoord
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.uncertainty.ellipses import confidence_ellipse

__all__ = ["build_presentation_state"]

Floats = NDArray[np.float64]

ELLIPSE_COLOR: Final = (240, 228, 66)  # none of the organs' colors, and one that color-blind people can tell from them
TEXT_COLOR: Final = (255, 140, 0)  # to be read on black and on white
# What one standard deviation holds of a two-dimensional normal distribution.
ONE_SIGMA: Final = 1 - math.exp(-0.5)
LEAST_SEMI_AXIS_PX: Final = 0.05  # an ellipse without extent is none
POINTS_OF_CUT_ELLIPSE: Final = 32


@no_warnings()
def build_presentation_state(
    segmentation: LandmarkSegmentation, source: SourceImage, numbering: Numbering
) -> GrayscaleSoftcopyPresentationState:
    """Build a presentation state of the radiograph.

    It has a layer per organ with its closed contour and its name, one with an ellipse per landmark, and one with the
    verdict. The ellipses are one standard deviation of the error to be expected, or of the samples' spread where there
    is no calibration; what would leave the image is cut off at its border. Contours and ellipses have the tracking UIDs
    of the report. Gray values are shown as the reader took them: low values bright for MONOCHROME1, and without the
    image's window where that had to be ignored. The image is not turned: it is drawn on as it is stored.

    Args:
        segmentation: the result for that radiograph.
        source: the radiograph, with its cleaned header.
        numbering: of the run.

    Raises:
        ValueError: if result and source are not of one image.

    References:
        DICOM PS3.3, A.33.1 Grayscale Softcopy Presentation State IOD, C.10.5 Graphic Annotation
    """
    source.check_result(segmentation)
    radiograph, header = source.radiograph, source.header_without(*GRAY_VALUE_KEYWORDS)
    layers = _layers(segmentation)
    state = GrayscaleSoftcopyPresentationState(
        referenced_images=[header],
        **numbering.place("pr", segmentation, header).arguments(),
        content_label="LUNGS_HEART",
        content_creator_name=CONTENT_CREATOR,
        content_description=f"Lungs and heart, reliability verdict: {segmentation.reliability.verdict}",
        series_description=f"Contours with uncertainty ({segmentation.reliability.verdict})",
        graphic_layers=layers,
        graphic_annotations=_annotations(segmentation, header, layers),
        # highdicom's default shows low values dark for MONOCHROME1 as well.
        presentation_lut_transformation=PresentationLUTTransformation(
            presentation_lut_shape="INVERSE" if "photometric_inverted" in radiograph.notes else "IDENTITY"
        ),
        **EQUIPMENT,
    )
    set_gray_values(state, radiograph)
    _set_pixel_size(state, radiograph)
    state.BodyPartExamined = "CHEST"  # else the laterality of the examined part would be required
    return state


def _set_pixel_size(state: Dataset, radiograph: Radiograph) -> None:
    """State the size or the shape of the pixels, which highdicom takes for square."""
    area = state.DisplayedAreaSelectionSequence[0]
    if radiograph.spacing_mm is not None:
        area.PresentationPixelSpacing = [decimal(side) for side in radiograph.spacing_mm]
        del area.PresentationPixelAspectRatio
    elif radiograph.pixel_aspect is not None:
        area.PresentationPixelAspectRatio = aspect_ratio(radiograph.pixel_aspect)


def _layers(segmentation: LandmarkSegmentation) -> list[GraphicLayer]:
    """Return the layer of the uncertainty, then one per organ over it, then that of the verdict."""
    of_what = "samples" if segmentation.error_covariance is None else "expected error"
    named = [
        ("UNCERTAINTY", f"1 standard deviation of the landmarks' {of_what}", ELLIPSE_COLOR),
        *((organ.name.upper(), organ.title, organ.color) for organ in ORGANS),
        ("VERDICT", "Reliability verdict", TEXT_COLOR),
    ]
    return [
        GraphicLayer(name, order, description, CIELabColor.from_rgb(*color))
        for order, (name, description, color) in enumerate(named, start=1)
    ]


def _annotations(
    segmentation: LandmarkSegmentation, header: Dataset, layers: list[GraphicLayer]
) -> list[GraphicAnnotation]:
    ids = TrackingIds.of(segmentation, header)
    uncertainty_layer, *organ_layers, verdict_layer = layers
    verdict = f"AI: {segmentation.reliability.verdict}. For research use only, not for diagnosis."
    box = TextObject(verdict, "DISPLAY", bounding_box=(0.02, 0.01, 0.98, 0.04), text_justification="LEFT")
    return [
        GraphicAnnotation([header], uncertainty_layer, graphic_objects=_ellipses(segmentation, ids)),
        *(
            GraphicAnnotation(
                [header],
                layer,
                graphic_objects=[_contour(organ, segmentation, ids)],
                text_objects=[_label(organ, segmentation)],
            )
            for organ, layer in zip(ORGANS, organ_layers, strict=True)
        ),
        GraphicAnnotation([header], verdict_layer, text_objects=[box]),
    ]


def _contour(organ: Organ, segmentation: LandmarkSegmentation, ids: TrackingIds) -> GraphicObject:
    contour = segmentation.contour(organ)
    points, _ = to_scoord(np.vstack([contour, contour[:1]]), segmentation.shape)
    return GraphicObject("POLYLINE", points, "PIXEL", tracking_id=organ.title, tracking_uid=ids.uid(organ.name))


def _label(organ: Organ, segmentation: LandmarkSegmentation) -> TextObject:
    """Name the organ at the middle of its landmarks."""
    middle, _ = to_scoord(segmentation.contour(organ).mean(axis=0, keepdims=True), segmentation.shape)
    x, y = middle[0].tolist()
    return TextObject(organ.title, "PIXEL", anchor_point=(x, y), anchor_point_visible=False)


def _ellipses(segmentation: LandmarkSegmentation, ids: TrackingIds) -> list[GraphicObject]:
    """Return an ellipse per landmark, cut off at the image's border."""
    covariance = segmentation.covariance if segmentation.error_covariance is None else segmentation.error_covariance
    semi_axes, angles = confidence_ellipse(covariance, ONE_SIGMA)
    longest, shortest = np.maximum(semi_axes, LEAST_SEMI_AXIS_PX).T[..., None]
    major = longest * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    minor = shortest * np.stack([-np.sin(angles), np.cos(angles)], axis=-1)
    graphics = []
    for name, center, along, across in zip(NODE_IDS, segmentation.landmarks, major, minor, strict=True):
        kind, points = _ellipse(center, along, across, segmentation.shape)
        graphics.append(GraphicObject(kind, points, "PIXEL", tracking_id=name, tracking_uid=ids.uid(name)))
    return graphics


def _ellipse(center: Floats, along: Floats, across: Floats, shape: tuple[int, int]) -> tuple[str, NDArray[np.float32]]:
    """Return an ellipse by the ends of its axes, the major one first, or what is left of it within the image."""
    turn = np.linspace(0, 2 * np.pi, POINTS_OF_CUT_ELLIPSE + 1)[:, None]
    outline, is_cut = to_scoord(center + np.cos(turn) * along + np.sin(turn) * across, shape)
    if is_cut:
        return "POLYLINE", outline
    ends, _ = to_scoord(np.stack([center - along, center + along, center - across, center + across]), shape)
    return "ELLIPSE", ends
