from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import uid
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset
from pydicom.tag import Tag
from support.samples.dicom import code_item, make_dx
from support.samples.headers import changed, examine_changed, refusal

from monai_chexmask_u.dicom.reading import header
from monai_chexmask_u.dicom.reading.header import HeaderFacts, examine
from monai_chexmask_u.radiograph import RadiographError


def test_plain_dx_is_taken_without_reserve() -> None:
    facts = examine(make_dx(rows=64, columns=64, spacing=(0.2, 0.1)))
    assert facts == HeaderFacts("PA", False, False, (0.2, 0.1), ("spacing_from_imager",))


def test_storage_classes_are_those_of_the_standard() -> None:
    assert uid.ComputedRadiographyImageStorage == header.CR
    assert uid.DigitalXRayImageStorageForPresentation == header.DX
    assert uid.DigitalXRayImageStorageForProcessing == header.DX_FOR_PROCESSING


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"SOPClassUID": uid.CTImageStorage}, "wrong_modality"),
        ({"SOPClassUID": uid.SegmentationStorage}, "wrong_modality"),
        ({"SOPClassUID": uid.SecondaryCaptureImageStorage, "Modality": "OT"}, "wrong_modality"),
        ({"SOPClassUID": uid.DigitalXRayImageStorageForProcessing}, "for_processing"),
        ({"PixelData": None}, "no_pixels"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "color"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "color"),
        ({"NumberOfFrames": 2}, "multi_frame"),
        ({"Rows": None}, "undecodable"),
        ({"Rows": [64, 64]}, "undecodable"),
        ({"BitsAllocated": [16, 16]}, "undecodable"),
        ({"PhotometricInterpretation": ["MONOCHROME1", "MONOCHROME2"]}, "undecodable"),
        ({"Rows": 63}, "implausible_size"),
        ({"Columns": 0}, "implausible_size"),
        ({"Rows": 64 * 4 + 1}, "implausible_size"),
        ({"Columns": 64 * 4 + 1}, "implausible_size"),
        ({"Rows": 60000, "Columns": 60000}, "too_large"),
        ({"Rows": 8001, "Columns": 8000}, "too_large"),
        ({"PatientSpeciesDescription": "Feline"}, "not_human"),
        ({"PatientSpeciesCodeSequence": [code_item("L-80A00", "SRT", "Felis catus")]}, "not_human"),
        ({"PatientBreedDescription": "Maine Coon"}, "not_human"),
        ({"PatientBreedCodeSequence": [code_item("132497009", "SCT", "Maine coon cat breed")]}, "not_human"),
        ({"PatientSexNeutered": "ALTERED"}, "not_human"),
        ({"PatientSexNeutered": "UNALTERED"}, "not_human"),
        ({"BodyPartExamined": "EXTREMITY"}, "wrong_body_part"),
        ({"BodyPartExamined": "TSPINE"}, "wrong_body_part"),
        ({"BodyPartExamined": "CRIBRIFORM"}, "wrong_body_part"),
        ({"AnatomicRegionSequence": [code_item("122495006", "SCT", "Thoracic spine")]}, "wrong_body_part"),
        ({"PatientOrientation": ["F", "L"]}, "unsupported_orientation"),
        ({"PatientOrientation": ["H", "R"]}, "unsupported_orientation"),
    ],
)
def test_refuses_what_is_no_frontal_chest_radiograph(change: dict[str, Any], code: str) -> None:
    assert refusal(changed(**change)) == code


@pytest.mark.parametrize("modality", ["CR", "DX"])
def test_a_secondary_capture_of_a_radiograph_is_taken_with_a_note(modality: str) -> None:
    facts = examine_changed(SOPClassUID=uid.SecondaryCaptureImageStorage, Modality=modality)
    assert "secondary_capture" in facts.notes


def test_a_cut_that_leaves_no_storage_class_is_told_as_such() -> None:
    dataset = changed(PixelData=None, SOPClassUID=None)
    del dataset.file_meta.MediaStorageSOPClassUID
    assert refusal(dataset) == "truncated"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ViewPosition": "LL"}, "the header's view says lateral, oblique or lying on the side"),
        ({"ViewCodeSequence": [code_item("399000", "SCT", "Some view")]}, "has a code that is none of a frontal view"),
        ({"ViewPosition": None, "SeriesDescription": "Thorax lateral"}, "a description in the header says lateral"),
        ({"PatientOrientation": ["A", "F"]}, "the patient's orientation says lateral"),
        ({"PatientOrientation": ["F", "R"]}, "stored lying on its side"),
        ({"SOPClassUID": uid.CTImageStorage}, "the file is no CR or DX image"),
    ],
)
def test_the_sentence_names_what_refuses_the_image(change: dict[str, Any], said: str) -> None:
    with pytest.raises(RadiographError, match=said):
        examine(changed(**change))


def test_an_image_that_does_not_say_what_it_is_is_told_as_such() -> None:
    dataset = changed(SOPClassUID=None)
    del dataset.file_meta.MediaStorageSOPClassUID
    with pytest.raises(RadiographError, match="does not say what object it is") as refused:
        examine(dataset)
    assert refused.value.code == "wrong_modality"


def test_exactly_the_largest_size_is_taken() -> None:
    assert examine_changed(Rows=8000, Columns=8000).view == "PA"


def test_exactly_the_narrowest_size_is_taken() -> None:
    assert examine_changed(Rows=64, Columns=256).view == "PA"


@pytest.mark.parametrize(
    "value", ["", "3.2.1", "../../elsewhere", "1.02.3", "1..2", "1.2.", "1." + "2" * 63, ["1.2.3", "1.2.4"]]
)
@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_identifiers_that_are_none_are_noted(keyword: str, value: Any) -> None:
    dataset = changed()
    dataset[keyword]._value = value  # as read from a file, without the checks of writing
    assert "uid_missing" in examine(dataset).notes
    del dataset[keyword]
    assert "uid_missing" in examine(dataset).notes


@pytest.mark.parametrize("species", ["Homo sapiens", "human", " HOMO  SAPIENS"])
def test_takes_humans_that_are_called_so(species: str) -> None:
    coded = [code_item("337915000", "SCT", "Homo sapiens")]
    assert examine_changed(PatientSpeciesDescription=species, PatientSpeciesCodeSequence=coded).view == "PA"


@pytest.mark.parametrize("term", ["", "Unknown", "N/A"])
def test_a_breed_that_is_none_is_no_animals(term: str) -> None:
    assert (
        examine_changed(PatientBreedDescription=term, PatientSexNeutered="", PatientBreedCodeSequence=[]).view == "PA"
    )


@pytest.mark.parametrize("term", ["CHEST", "Thorax", "PORT CHEST", "CHEST_PA", "PORTCHEST", "LUNG", "HEART", "RIBS"])
def test_takes_the_names_that_a_chest_goes_by(term: str) -> None:
    assert "body_part_unknown" not in examine_changed(BodyPartExamined=term).notes


@pytest.mark.parametrize("term", [None, "", "UNKNOWN", "N/A"])
def test_unknown_body_part_leaves_a_note(term: str | None) -> None:
    assert "body_part_unknown" in examine_changed(BodyPartExamined=term).notes


def test_region_code_stands_in_for_the_body_part() -> None:
    coded = [code_item("T-D3000", "SRT", "Chest")]
    assert "body_part_unknown" not in examine_changed(BodyPartExamined=None, AnatomicRegionSequence=coded).notes


def test_codes_of_unknown_schemes_decide_nothing() -> None:
    coded = [code_item("12", "99LOCAL", "Bett")]
    facts = examine_changed(AnatomicRegionSequence=coded, ViewCodeSequence=coded, PatientSpeciesCodeSequence=coded)
    assert facts.view == "PA"


@pytest.mark.parametrize(
    ("keyword", "value", "note"),
    [("LossyImageCompression", "01", "lossy_compression"), ("BurnedInAnnotation", "YES", "burned_in_annotation")],
)
def test_doubts_about_the_image_leave_notes(keyword: str, value: str, note: str) -> None:
    assert note in examine_changed(**{keyword: value}).notes
    assert note not in examine_changed().notes


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@given(damage=st.sampled_from(["PixelSpacing", "NumberOfFrames", "ViewPosition", "Rows"]), junk=st.binary(max_size=12))
def test_junk_in_an_element_is_refused_in_words_or_ignored(damage: str, junk: bytes) -> None:
    dataset = changed()
    replace_raw(dataset, damage, junk)
    with contextlib.suppress(RadiographError):
        examine(dataset)


def replace_raw(dataset: FileDataset, keyword: str, value: bytes) -> None:
    """Put bytes into an element as if they had been read from a file."""
    tag = Tag(keyword)
    dataset._dict[tag] = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)
