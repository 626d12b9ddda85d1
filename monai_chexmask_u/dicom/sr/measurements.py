"""Measurement groups of the structured report: one for the image, one per organ, one per landmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from highdicom import sr
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import UID

from monai_chexmask_u.anatomy import NODE_IDS, Organ, organ_of_node
from monai_chexmask_u.dicom import codes
from monai_chexmask_u.dicom.source import TrackingIds
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["NodeValues", "image_group", "node_group", "node_values", "organ_group", "to_scoord"]

# Name, unit and derivation of what the report measures of a landmark.
_NODE_MEASUREMENTS: Final = (
    (codes.DISPLACEMENT_X, codes.PIXELS, codes.STANDARD_DEVIATION),
    (codes.DISPLACEMENT_Y, codes.PIXELS, codes.STANDARD_DEVIATION),
    (codes.DISTANCE, codes.MILLIMETER, codes.ROOT_MEAN_SQUARE),
    (codes.RADIUS_90, codes.PIXELS, None),
)


def image_group(
    segmentation: LandmarkSegmentation, notes: tuple[str, ...], header: Dataset, ids: TrackingIds
) -> sr.MeasurementsAndQualitativeEvaluations:
    """Return the group on the whole image: cardiothoracic ratio, uncertainty, verdict, and decisions on reading it.

    Args:
        segmentation: the result.
        notes: what was decided when the image was read.
        header: of the source image.
        ids: tracking UIDs.

    References:
        DICOM PS3.16, TID 1501 Measurement and Qualitative Evaluation Group
    """
    measurements = [
        _measurement(codes.IMAGE_UNCERTAINTY, segmentation.predictive_px1024, codes.PIXELS),
        _measurement(codes.LATENT_UNCERTAINTY, segmentation.latent_uncertainty, codes.NO_UNITS),
    ]
    if segmentation.total_px1024 is not None:
        measurements.append(_measurement(codes.TOTAL_UNCERTAINTY, segmentation.total_px1024, codes.PIXELS))
    foreign = segmentation.scores.get("combined", np.nan)
    if np.isfinite(foreign):  # DICOM has no other numbers, and the verdict says it
        measurements.append(_measurement(codes.FOREIGN_SCORE, foreign, codes.NO_UNITS))
    if np.isfinite(segmentation.cardiothoracic_ratio.value):
        measurements.insert(0, _cardiothoracic_ratio(segmentation))
    reliability = segmentation.reliability
    verdict, reasons = reliability.verdict, reliability.reasons
    evaluations = [
        (codes.QUALITY_ASSESSMENT, codes.QUALITY_OF_VERDICT[verdict]),
        (codes.RELIABILITY_VERDICT, codes.VERDICTS[verdict]),
        *((codes.RELIABILITY_REASON, codes.private_code(reason, reliability.in_words(reason))) for reason in reasons),
        *((codes.READING_NOTE, codes.private_code(note)) for note in notes),
    ]
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(ids.uid("image"), "Image"),
        finding_sites=[sr.FindingSite(codes.CHEST)],
        algorithm_id=_algorithm(segmentation),
        measurements=measurements,
        qualitative_evaluations=[sr.QualitativeEvaluation(name, value) for name, value in evaluations],
        source_images=[sr.SourceImageForMeasurementGroup.from_source_image(header)],
    )


def organ_group(
    organ: Organ, segmentation: LandmarkSegmentation, image: sr.SourceImageForRegion, ids: TrackingIds
) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    """Return the group on one organ: contour, area with its 90 % interval, mean and greatest landmark uncertainty.

    The area is that of the whole contour, even where the contour had to be clipped to the image.

    References:
        DICOM PS3.16, TID 1410 Planar ROI Measurements and Qualitative Evaluations
    """
    contour = segmentation.contour(organ)
    points, clipped = to_scoord(np.vstack([contour, contour[:1]]), segmentation.shape)
    uncertainty = segmentation.node_uncertainty[organ.nodes]
    measurements = [
        _measurement(codes.NODE_UNCERTAINTY, uncertainty.mean(), codes.PIXELS, derivation=codes.MEAN),
        _measurement(codes.NODE_UNCERTAINTY, uncertainty.max(), codes.PIXELS, derivation=codes.MAXIMUM),
    ]
    area_mm2 = segmentation.area_mm2(organ)
    if area_mm2 is not None:
        interval = _interval(segmentation.area_interval90(organ, square_mm=True), codes.SQUARE_MILLIMETER)
        area = _measurement(codes.AREA, area_mm2, codes.SQUARE_MILLIMETER, properties=interval)
        measurements.insert(0, area)
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(ids.uid(organ.name), organ.title),
        referenced_region=sr.ImageRegion("POLYLINE", points, image),
        finding_category=codes.ANATOMICAL_STRUCTURE,
        finding_type=codes.ORGAN_CODES[organ.name].structure,
        finding_sites=[_site(organ)],
        geometric_purpose=codes.OUTLINE,
        algorithm_id=_algorithm(segmentation),
        measurements=measurements,
        qualitative_evaluations=_position_notes(clipped),
    )


@dataclass(frozen=True)
class NodeValues:
    """What the report says of one landmark.

    Attributes:
        identifier: ``RL00``..``H25``.
        uid: tracking UID.
        point: ``(1, 2)``, (x, y) in pixels with (0, 0) at the outer corner of the top-left pixel, within the image.
        clipped: whether it had to be moved to the image's border.
        numbers: by the code value of what they measure, rounded as they are written.
    """

    identifier: str
    uid: UID
    point: NDArray[np.float32]
    clipped: bool
    numbers: dict[str, float]


def node_values(node: int, segmentation: LandmarkSegmentation, ids: TrackingIds) -> NodeValues:
    """Return what the report says of one landmark.

    Args:
        node: index in 0..119.
        segmentation: the result.
        ids: tracking UIDs.

    Raises:
        ValueError: if a standard deviation is not finite.
    """
    point, clipped = to_scoord(segmentation.landmarks[[node]], segmentation.shape)
    std_x, std_y = segmentation.std[node]
    numbers = {codes.DISPLACEMENT_X: std_x, codes.DISPLACEMENT_Y: std_y}
    if segmentation.distance_mm is not None:
        numbers[codes.DISTANCE] = segmentation.distance_mm[node]
    # A calibration on few images can end in an infinite radius, which DICOM has no number for.
    if segmentation.radius90 is not None and np.isfinite(segmentation.radius90[node]):
        numbers[codes.RADIUS_90] = segmentation.radius90[node]
    written = {name.value: _written(name, value) for name, value in numbers.items()}
    return NodeValues(NODE_IDS[node], ids.uid(NODE_IDS[node]), point, clipped, written)


def node_group(
    node: int, segmentation: LandmarkSegmentation, image: sr.SourceImageForRegion, ids: TrackingIds
) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    """Return the group on one landmark: its position, and the spread of the samples around it.

    `landmark_groups` gives the same for all landmarks, and faster.

    Args:
        node: index in 0..119.
        segmentation: the result.
        image: reference to the source image.
        ids: tracking UIDs.

    References:
        DICOM PS3.16, TID 1410 Planar ROI Measurements and Qualitative Evaluations
    """
    organ, values = organ_of_node(node), node_values(node, segmentation, ids)
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(values.uid, values.identifier),
        referenced_region=sr.ImageRegion("POINT", values.point, image),
        finding_type=codes.ORGAN_CODES[organ.name].structure,
        finding_sites=[_site(organ)],
        geometric_purpose=codes.BOUNDARY_POINT,
        measurements=[
            sr.Measurement(name=name, value=values.numbers[name.value], unit=unit, derivation=derivation)
            for name, unit, derivation in _NODE_MEASUREMENTS
            if name.value in values.numbers
        ],
        qualitative_evaluations=_position_notes(values.clipped),
    )


def to_scoord(points: NDArray[np.float64], shape: tuple[int, int]) -> tuple[NDArray[np.float32], bool]:
    """Convert landmarks to spatial coordinates of a report.

    The network's landmarks may leave the image, spatial coordinates should not: they are clipped to its border.

    Args:
        points: ``(node, 2)``, (x, y) in pixels, (0, 0) at the center of the top-left pixel.
        shape: rows and columns of the image.

    Returns:
        The points in pixels with (0, 0) at the outer corner of the top-left pixel, and whether any was clipped.

    Example:
        >>> to_scoord(np.array([[0.0, 1.0], [-2.0, 1.0]]), (4, 4))
        (array([[0.5, 1.5],
               [0. , 1.5]], dtype=float32), True)

    References:
        DICOM PS3.3, C.18.6.1.1 Graphic Data
    """
    rows, columns = shape
    corner = points + 0.5
    inside = np.clip(corner, 0, (columns, rows))
    return inside.astype(np.float32), bool((inside != corner).any())


def _cardiothoracic_ratio(segmentation: LandmarkSegmentation) -> sr.Measurement:
    ratio = segmentation.cardiothoracic_ratio
    properties = _interval(ratio.interval90, codes.RATIO)
    if properties is None and np.isfinite(ratio.std):
        spread = {codes.POPULATION_STANDARD_DEVIATION: ratio.std}
        properties = _statistics(spread, codes.RATIO, f"{segmentation.sample_count} Monte Carlo samples")
    return _measurement(
        codes.CARDIOTHORACIC_RATIO, ratio.value, codes.RATIO, derivation=codes.MEAN, properties=properties
    )


def _interval(interval90: tuple[float, float] | None, unit: Code) -> sr.MeasurementProperties | None:
    """Return the ends of a 90 % interval as percentiles of where the true value may be; None where they are unknown."""
    if interval90 is None or not np.isfinite(interval90).all():
        return None
    ends = dict(zip((codes.FIFTH_PERCENTILE, codes.NINETY_FIFTH_PERCENTILE), interval90, strict=True))
    return _statistics(ends, unit, "Interval that holds the true value with 90 % probability")


def _statistics(numbers: Mapping[Code, float], unit: Code, description: str) -> sr.MeasurementProperties:
    items = [
        sr.NumContentItem(name=name, value=_six_digits(number), unit=unit, relationship_type="HAS PROPERTIES")
        for name, number in numbers.items()
    ]
    return sr.MeasurementProperties(
        measurement_statistical_properties=sr.MeasurementStatisticalProperties(items, description=description)
    )


def _measurement(
    name: Code,
    value: float,
    unit: Code,
    *,
    derivation: Code | None = None,
    properties: sr.MeasurementProperties | None = None,
) -> sr.Measurement:
    return sr.Measurement(
        name=name, value=_written(name, value), unit=unit, derivation=derivation, properties=properties
    )


def _written(name: Code, value: float) -> float:
    """Return a value as it is written.

    Raises:
        ValueError: if it is not finite, which DICOM has no number for.
    """
    if not np.isfinite(value):
        raise ValueError(f"{name.meaning} must be finite to be reported, got {value}")
    return _six_digits(value)


def _six_digits(value: float) -> float:
    """Round to what fits into the 16 characters of a decimal string and still means something."""
    return float(f"{value:.6g}")


def _position_notes(clipped: bool) -> list[sr.QualitativeEvaluation]:
    return [sr.QualitativeEvaluation(codes.POSITION_NOTE, codes.CLIPPED_TO_IMAGE)] if clipped else []


def _site(organ: Organ) -> sr.FindingSite:
    code = codes.ORGAN_CODES[organ.name]
    return sr.FindingSite(code.structure, laterality=code.laterality)


def _algorithm(segmentation: LandmarkSegmentation) -> sr.AlgorithmIdentification:
    """Return what made the measurements; without the manufacturer, which dcmqi takes for an unknown evaluation."""
    model = segmentation.model
    parameters = [f"weights_sha256={model.sha256}", f"samples={segmentation.sample_count}"]
    if model.calibration_sha256 is not None:
        parameters.append(f"calibration_sha256={model.calibration_sha256}")
    return sr.AlgorithmIdentification(
        name=model.name,
        version=model.version,
        parameters=parameters,
        family=codes.ARTIFICIAL_INTELLIGENCE,
    )
