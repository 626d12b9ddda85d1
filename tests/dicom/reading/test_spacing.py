"""How large a header says that a pixel is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples.headers import changed, examine_changed

from monai_chexmask_u.dicom.reading.header import examine


@pytest.mark.parametrize(
    ("values", "spacing", "notes"),
    [
        ({"ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1), {"spacing_from_imager"}),
        (
            {"ImagerPixelSpacing": [0.22, 0.11], "EstimatedRadiographicMagnificationFactor": 1.1},
            (0.2, 0.1),
            {"spacing_from_imager", "magnification_corrected"},
        ),
        (
            {"ImagerPixelSpacing": [0.2, 0.2], "EstimatedRadiographicMagnificationFactor": 0},
            (0.2, 0.2),
            {"spacing_from_imager"},
        ),
        (
            {"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.3, 0.3]},
            (0.2, 0.2),
            {"spacing_from_imager", "pixel_spacing_ignored"},
        ),
        (
            {"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.13, 0.13]},
            (0.2, 0.2),
            {"spacing_from_imager", "pixel_spacing_ignored"},
        ),
        (
            {"ImagerPixelSpacing": [1, 1], "PixelSpacing": [0.87, 0.87]},
            (0.87, 0.87),
            {"spacing_differs_from_imager"},
        ),
        (
            {
                "ImagerPixelSpacing": [0.2, 0.2],
                "PixelSpacing": [0.16, 0.16],
                "EstimatedRadiographicMagnificationFactor": 1.25,
            },
            (0.16, 0.16),
            {"spacing_differs_from_imager"},
        ),
        (
            {"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.20001, 0.2], "PixelSpacingCalibrationType": ""},
            (0.2, 0.2),
            {"spacing_from_imager"},
        ),
        *(
            (
                {"ImagerPixelSpacing": [0.2, 0.2], "EstimatedRadiographicMagnificationFactor": factor},
                (0.2, 0.2),
                {"spacing_from_imager", "magnification_ignored"},
            )
            for factor in (-1, 0.5, 2.01, 100)
        ),
        (
            {"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.1, 0.1], "PixelSpacingCalibrationType": "FIDUCIAL"},
            (0.1, 0.1),
            {"spacing_from_calibrated_pixel_spacing"},
        ),
        (
            {"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0, 0], "PixelSpacingCalibrationType": "GEOMETRY"},
            (0.2, 0.2),
            {"spacing_from_imager"},
        ),
        ({"PixelSpacing": [0.3, 0.3]}, (0.3, 0.3), {"spacing_uncalibrated"}),
        ({"PixelSpacing": [0, 0]}, None, {"spacing_invalid"}),
        ({"PixelSpacing": [-1, 0.2]}, None, {"spacing_invalid"}),
        ({"PixelSpacing": [0, 0.2]}, None, {"spacing_invalid"}),
        ({"PixelSpacing": [0.2, 0]}, None, {"spacing_invalid"}),
        ({"PixelSpacing": [0.019, 0.02]}, None, {"spacing_invalid"}),
        ({"PixelSpacing": [2, 2.01]}, None, {"spacing_invalid"}),
        ({"PixelSpacing": [0.1, 0.21]}, None, {"spacing_invalid"}),
        ({"PixelSpacing": [0.02, 0.04]}, (0.02, 0.04), {"spacing_uncalibrated"}),
        ({"PixelSpacing": [2, 1]}, (2, 1), {"spacing_uncalibrated"}),
        ({"PixelSpacing": [0.3, 0.3], "PixelSpacingCalibrationType": "NONE"}, (0.3, 0.3), {"spacing_uncalibrated"}),
        ({"ImagerPixelSpacing": [0.2]}, None, {"spacing_invalid"}),
        ({"ImagerPixelSpacing": [0.2, 0.2, 0.2]}, None, {"spacing_invalid"}),
        ({}, None, {"spacing_unknown"}),
    ],
)
def test_spacing_is_that_at_the_patient(
    values: dict[str, Any], spacing: tuple[float, float] | None, notes: set[str]
) -> None:
    facts = examine_changed(**{"ImagerPixelSpacing": None, **values})
    assert facts.spacing_mm == (pytest.approx(spacing) if spacing else None)
    about_spacing = ("spacing", "magnification", "pixel_")
    assert {note for note in facts.notes if note.startswith(about_spacing)} == notes


@given(factor=st.floats(1, 2), row_mm=st.floats(0.05, 1), ratio=st.floats(0.51, 1.99))
def test_magnification_divides_the_detector_spacing(factor: float, row_mm: float, ratio: float) -> None:
    column_mm = row_mm * ratio
    dataset = changed()
    dataset.ImagerPixelSpacing = [f"{row_mm:.8f}", f"{column_mm:.8f}"]
    dataset.EstimatedRadiographicMagnificationFactor = f"{factor:.8f}"
    spacing = examine(dataset).spacing_mm
    assert spacing == pytest.approx((row_mm / factor, column_mm / factor), rel=1e-5)  # 8 decimals in the file


@pytest.mark.parametrize(
    ("ratio", "aspect", "note"),
    [
        ([2, 1], 2, "pixel_aspect_applied"),
        ([3, 4], 0.75, "pixel_aspect_applied"),
        ([1, 1], None, None),
        ([7, 7], None, None),
        (None, None, None),
        ([0, 0], None, None),
        ([0, 1], None, "pixel_aspect_ignored"),
        ([-2, -1], None, "pixel_aspect_ignored"),
        ([201, 100], None, "pixel_aspect_ignored"),
        (1, None, None),
        ([2, 1, 1], None, "pixel_aspect_ignored"),
    ],
)
def test_aspect_of_pixels_counts_where_their_size_is_unknown(
    ratio: Any, aspect: float | None, note: str | None
) -> None:
    given_ratio = {} if ratio is None else {"PixelAspectRatio": ratio}
    facts = examine_changed(ImagerPixelSpacing=None, **given_ratio)
    assert facts.pixel_aspect == aspect
    assert [name for name in facts.notes if name.startswith("pixel_aspect")] == ([note] if note else [])
    facts = examine_changed(**given_ratio)
    assert facts.pixel_aspect is None
    assert not any(name.startswith("pixel_aspect") for name in facts.notes)
