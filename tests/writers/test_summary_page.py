"""The summary page says all that a result says, on one page, and nothing of the patient."""

from __future__ import annotations

import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pypdf import PageObject, PdfReader
from support.samples.dicom import make_dx
from support.samples.segmentations import make_radiograph, make_segmentation

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, ORGANS
from monai_chexmask_u.drawing import draw_landmarks
from monai_chexmask_u.radiograph import READING_NOTES, Radiograph, note_in_words
from monai_chexmask_u.segmentation import Estimate, LandmarkSegmentation, ModelIdentity, Reliability
from monai_chexmask_u.writers.summary_page import PURPOSE, TITLE, summary_page

REASONS = (
    *("not_calibrated", "not_frontal_chest", "upside_down", "turned_sideways", "mirrored", "inverted"),
    *("implausible_shape", "image_quality", "high_uncertainty:right_lung", "high_uncertainty:left_lung"),
    *("high_uncertainty:heart", "reason_of_a_later_version"),
)
A4 = (595.28, 841.89)
AREAS = [make_segmentation(make_radiograph()).area_px(organ) for organ in ORGANS]
MARGIN = 36


@pytest.fixture(scope="module")
def radiograph() -> Radiograph:
    """A DX with pixels twice as high as wide, and with notes."""
    header = make_dx(rows=250, columns=200, spacing=(0.2, 0.1))
    header.PatientName, header.PatientID = "Mustermann^Erika", "MRN-4711"
    notes = ("photometric_inverted", "burned_in_annotation")
    return make_radiograph(spacing_mm=(0.2, 0.1), view="PA", notes=notes, header=header)


@pytest.fixture(scope="module")
def result(radiograph: Radiograph) -> LandmarkSegmentation:
    total = np.linspace(2, 12, 120)
    return make_segmentation(
        radiograph,
        error_covariance=total[:, None, None] ** 2 * np.diag([1.0, 4.0]),
        total_px1024=34.56,
        cardiothoracic_ratio=Estimate(0.43, 0.002, (0.4012, 0.4567)),
        area_interval90_px=tuple((area - 1000 * (number + 1), area + 100) for number, area in enumerate(AREAS)),
        model=ModelIdentity("chexmask", "4.5.6", "ab" * 32, "cd" * 32),
        reliability=Reliability("review", ("high_uncertainty:heart",)),
    )


@pytest.fixture(scope="module")
def page(result: LandmarkSegmentation, radiograph: Radiograph) -> PageObject:
    return only_page(summary_page(result, radiograph))


@pytest.fixture(scope="module")
def text(page: PageObject) -> str:
    return words_of(page)


def only_page(document: bytes) -> PageObject:
    (page,) = PdfReader(BytesIO(document)).pages
    return page


def words_of(page: PageObject) -> str:
    """The page's text; lines are wrapped wherever they had to be."""
    return " ".join(page.extract_text().split())


def text_positions(page: PageObject) -> list[tuple[str, float, float]]:
    """Each piece of text with x and y of where it begins, in points from the lower left corner."""
    found: list[tuple[str, float, float]] = []

    def note(text: str, current: list[float], matrix: list[float], *_: Any) -> None:
        if text.strip():
            x = matrix[4] * current[0] + matrix[5] * current[2] + current[4]
            y = matrix[4] * current[1] + matrix[5] * current[3] + current[5]
            found.append((text.strip(), x, y))

    page.extract_text(visitor_text=note)
    return found


def height_of(page: PageObject, start: str) -> float:
    return next(y for text, _, y in text_positions(page) if text.startswith(start))


def test_it_says_first_what_it_is_and_what_it_is_not_for(text: str) -> None:
    assert text.startswith(f"{TITLE} Automatic landmark segmentation of a chest radiograph {PURPOSE}")
    assert PURPOSE == "For research use only. Not for diagnosis."


@pytest.mark.parametrize(
    ("verdict", "sentence", "color"),
    [
        ("accept", "are within all limits of the calibration.", (0, 105, 92)),
        ("review", "A person must check outlines and numbers before any use.", (180, 83, 9)),
        ("reject", "Neither outlines nor numbers on this page are to be used.", (179, 38, 30)),
    ],
)
def test_verdict_is_told_in_words_and_in_its_own_color(
    verdict: Any, sentence: str, color: tuple[int, int, int], result: LandmarkSegmentation, radiograph: Radiograph
) -> None:
    result = make_segmentation(radiograph, reliability=Reliability(verdict, ()))
    page = only_page(summary_page(result, radiograph))
    assert f"Verdict {verdict.upper()}" in words_of(page)
    assert sentence in words_of(page)
    shown = fills(page)
    assert color in shown
    assert len(shown & {(0, 105, 92), (180, 83, 9), (179, 38, 30)}) == 1


def fills(page: PageObject) -> set[tuple[int, ...]]:
    """All colors that something is filled with."""
    contents = page.get_contents()
    assert contents is not None
    found = re.findall(rb"([\d.]+) ([\d.]+) ([\d.]+) rg\b", contents.get_data())
    return {tuple(round(255 * float(band)) for band in color) for color in found}


def test_reasons_and_notes_are_told_in_words(text: str) -> None:
    assert "• High uncertainty of the heart" in text
    assert "How the image was read • Stored gray levels were inverted, so that bone is bright." in text
    assert "• The header says that text is burned into the image; it may identify the patient." in text


def test_image_and_makers_are_identified(text: str, radiograph: Radiograph) -> None:
    assert f"SOP Instance UID of the image {radiograph.header.SOPInstanceUID}" in text
    assert "Model chexmask 4.5.6, by monai-chexmask-u" in text
    assert f"SHA-256 of the weights {'ab' * 32}" in text
    assert f"SHA-256 of the calibration {'cd' * 32}" in text


def test_measures_are_those_of_the_result(text: str) -> None:
    for words in (
        "Cardiothoracic ratio 0.430 (90 % interval 0.401 to 0.457)",
        "Total uncertainty at 1024 34.6 px",
        "Predictive uncertainty at 1024 8.5 px",
        "Latent uncertainty 0.25",
        "Samples 50",
        "Rows x columns 250 x 200",
        "Pixel spacing, mm 0.2 x 0.1",
        "View PA",
    ):
        assert words in text


def test_organs_have_areas_and_uncertainties_in_pixels_and_millimeters(text: str, result: LandmarkSegmentation) -> None:
    # In closed form for the total uncertainty: std of x is t, of y 2 t; a pixel is 0.1 mm wide and 0.2 mm high.
    total = np.linspace(2, 12, 120)
    for number, organ in enumerate(ORGANS):
        area = result.area_px(organ)
        low, high = area - 1000 * (number + 1), area + 100
        mean, largest = total[organ.nodes].mean(), total[organ.nodes].max()
        last = f"{organ.prefix}{organ.node_count - 1:02d}"
        pixels, square_mm = (f"{area * unit:,.0f} ({low * unit:,.0f} to {high * unit:,.0f})" for unit in (1, 0.02))
        assert f"{organ.title} {pixels} {square_mm} " in text
        assert (
            f"{1.5 * mean:.1f} px, {0.25 * mean:.1f} mm {1.5 * largest:.1f} px, {0.25 * largest:.1f} mm ({last})"
            in (text)
        )
    node = LEFT_LUNG.first_node + int(result.node_uncertainty[LEFT_LUNG.nodes].argmax())
    std_x, std_y = result.std[node]
    in_mm = f"{(std_x + std_y) / 2:.1f} px, {(0.1 * std_x + 0.2 * std_y) / 2:.1f} mm"
    assert f"{in_mm} (LL{node - LEFT_LUNG.first_node:02d})" in text


def test_what_is_not_known_is_not_made_up() -> None:
    radiograph = make_radiograph()
    result = make_segmentation(radiograph, cardiothoracic_ratio=Estimate(np.nan, np.nan))
    text = words_of(only_page(summary_page(result, radiograph)))
    for words in (
        "Cardiothoracic ratio not measurable",
        "Total uncertainty at 1024 -",
        "Pixel spacing, mm unknown",
        "View unknown",
        "none, no DICOM image",
        "none, not calibrated",
        "Node uncertainty 0 to 10 px of this image",
    ):
        assert words in text
    assert " mm " not in text.partition("Organ Area, px")[2].partition("mm²")[2]
    assert f"{HEART.title} {result.area_px(HEART):,.0f} - " in text
    assert "How the image was read" not in text
    assert "nan" not in text


def test_nothing_of_the_patient_is_on_it(result: LandmarkSegmentation, radiograph: Radiograph) -> None:
    document = summary_page(result, radiograph)
    reader = PdfReader(BytesIO(document))
    shown = words_of(reader.pages[0]) + str(reader.metadata)
    for word in ("Mustermann", "Erika", "4711", "19700101", "1970", str(radiograph.path), radiograph.path.name):
        assert word not in shown
        assert word.encode() not in document


@pytest.mark.parametrize(("rows", "columns"), [(250, 200), (200, 250), (400, 100), (100, 400)])
@pytest.mark.parametrize("count", [0, 3, 60])
def test_it_is_one_page_with_any_number_of_words(rows: int, columns: int, count: int) -> None:
    notes = (*READING_NOTES, *(f"note_{number}_of_a_reader_that_has_a_lot_to_say" for number in range(60)))[:count]
    radiograph = make_radiograph(rows, columns, spacing_mm=(0.139, 0.139), notes=notes)
    reasons = tuple(REASONS[:count])
    result = make_segmentation(radiograph, reliability=Reliability("reject", reasons))
    page = only_page(summary_page(result, radiograph))
    text = words_of(page)
    assert [reason for reason in reasons if Reliability.in_words(reason) not in text] == []
    assert [note for note in notes if note_in_words(note) not in text] == []
    for _, x, y in text_positions(page):
        assert MARGIN - 1 <= x <= A4[0] - MARGIN
        assert MARGIN - 1 <= y <= A4[1] - MARGIN


@pytest.mark.parametrize("count", [1, 60])
def test_blocks_lie_below_each_other(count: int) -> None:
    notes = (*READING_NOTES, *(f"note_{number}_of_a_reader" for number in range(60)))[:count]
    radiograph = make_radiograph(notes=notes)
    page = only_page(summary_page(make_segmentation(radiograph), radiograph))
    starts = [TITLE, PURPOSE, "REVIEW", "Cardiothoracic ratio", "Node uncertainty 0 to", "Area, px"]
    starts += [
        "How the image was read",
        f"• {note_in_words(notes[-1])}",
        "SOP Instance UID",
        "SHA-256 of the calibration",
    ]
    heights = [height_of(page, start) for start in starts]
    distances = -np.diff(heights)
    assert distances.min() > 9
    assert distances[starts.index("Cardiothoracic ratio")] > 130  # the image is beside it and above the legend


def test_real_number_of_words_needs_no_smaller_letters() -> None:
    # 11 reasons and 20 notes at once, more than an image can have: many exclude each other.
    radiograph = make_radiograph(spacing_mm=(0.139, 0.139), notes=tuple(READING_NOTES)[:20])
    result = make_segmentation(radiograph, reliability=Reliability("reject", REASONS[:11]))
    page = only_page(summary_page(result, radiograph))
    sizes: list[float] = []
    page.extract_text(visitor_text=lambda text, current, matrix, font, size: sizes.append(size * current[0]))
    assert min(size for size in sizes if size > 0) == pytest.approx(6.5)


def test_image_is_the_radiograph_with_its_contours(
    page: PageObject, result: LandmarkSegmentation, radiograph: Radiograph
) -> None:
    (image,) = page.images
    drawn = np.asarray(draw_landmarks(radiograph.pixels, result.landmarks, result.shown_uncertainty)).astype(float)
    assert image.image is not None
    shown = np.asarray(image.image.convert("RGB")).astype(float)
    assert shown.shape == drawn.shape
    assert len(image.data) < 1_000_000
    # JPEG changes contours a little, and far less than if they were not there.
    other = make_segmentation(radiograph)
    plain = np.asarray(draw_landmarks(radiograph.pixels, other.landmarks, other.shown_uncertainty)).astype(float)
    assert np.abs(shown - drawn).mean() < 2
    assert np.abs(shown - drawn).max() < 60
    assert np.abs(plain - drawn).max() > 150


def test_fonts_travel_with_the_page(page: PageObject) -> None:
    resources: Any = page["/Resources"]
    fonts = [font.get_object() for font in resources["/Font"].values()]
    assert len(fonts) == 2
    for font in fonts:
        assert "/FontFile2" in font["/FontDescriptor"]
        assert "/ToUnicode" in font


def test_what_the_fonts_do_not_have_becomes_a_question_mark(radiograph: Radiograph) -> None:
    result = make_segmentation(radiograph, model=ModelIdentity("模型 <b>&", "1", "ab" * 32))
    assert "Model ?? <b>& 1, by" in words_of(only_page(summary_page(result, radiograph)))


def test_same_result_gives_the_same_bytes(result: LandmarkSegmentation, radiograph: Radiograph) -> None:
    first = summary_page(result, radiograph)
    other = make_radiograph(notes=("mirrored",))
    assert summary_page(make_segmentation(other), other) != first
    assert summary_page(result, radiograph) == first


def test_another_process_gives_the_same_bytes(tmp_path: Path, repository: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from support.samples.segmentations import make_radiograph, make_segmentation\n"
        "from monai_chexmask_u.writers.summary_page import summary_page\n"
        "radiograph = make_radiograph()\n"
        "open(sys.argv[2], 'wb').write(summary_page(make_segmentation(radiograph), radiograph))"
    )
    path = tmp_path / "page.pdf"
    subprocess.run([sys.executable, "-c", program, repository / "tests", path], check=True, cwd=tmp_path)
    radiograph = make_radiograph()
    assert path.read_bytes() == summary_page(make_segmentation(radiograph), radiograph)
