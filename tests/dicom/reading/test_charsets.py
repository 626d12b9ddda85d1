"""Encodings of a header's text."""

from __future__ import annotations

import io
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ImplicitVRLittleEndian
from support.samples.dicom import code_item, make_dx

from monai_chexmask_u.dicom.reading.charsets import settle_character_sets

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

LATIN = "Müller^Jérôme"


def read(dataset: FileDataset, *replaced: tuple[bytes, bytes], implicit: bool = False) -> FileDataset:
    """A data set after it went through a file, with some bytes replaced in it."""
    file = io.BytesIO()
    if implicit:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.save_as(file, enforce_file_format=True)
    content = file.getvalue()
    for old, new in replaced:
        assert content.count(old) == 1
        content = content.replace(old, new)
    return dcmread(io.BytesIO(content), force=True)


def named(character_set: Any, name: str = LATIN, **values: Any) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet, dataset.PatientName = character_set, name
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def image(character_set: Any, name: str = LATIN, **values: Any) -> FileDataset:
    dataset = make_dx(rows=8, columns=8)
    dataset.update(named(character_set, name, **values))
    return dataset


@pytest.mark.parametrize("implicit", [False, True])
def test_declared_encodings_are_used(implicit: bool) -> None:
    dataset = read(image("ISO_IR 100", StudyDescription="Thorax frontal, é"), implicit=implicit)
    assert settle_character_sets(dataset) == set()
    assert (dataset.PatientName, dataset.StudyDescription) == (LATIN, "Thorax frontal, é")


@pytest.mark.parametrize("term", [b"ISO IR 100", b"ISO-IR 100", b"ISO-IR-100", b"ISO_IR_100", b"iso_ir 100"])
def test_other_separators_are_those_of_the_standard(term: bytes) -> None:
    dataset = read(image("ISO_IR 100"), (b"ISO_IR 100", term))
    assert settle_character_sets(dataset) == set()
    assert dataset.PatientName == LATIN


def test_text_of_an_unknown_character_set_is_known_by_replacement_characters() -> None:
    dataset = read(image("ISO_IR 100", StudyDescription="plain"), (b"ISO_IR 100", b"ISO_IR 999"))
    assert settle_character_sets(dataset) == {"character_set_unknown"}
    assert dataset.PatientName == "M\ufffdller^J\ufffdr\ufffdme"
    assert dataset.StudyDescription == "plain"


def test_plain_text_without_a_character_set_is_nothing_to_note() -> None:
    dataset = read(image("", "Plain^Name"))
    assert settle_character_sets(dataset) == set()
    del dataset.SpecificCharacterSet
    assert settle_character_sets(dataset) == set()


def test_private_text_says_nothing_about_the_rest() -> None:
    dataset = image("ISO_IR 100", "Plain^Name")
    dataset.private_block(0x11, "SOMEBODY", create=True).add_new(1, "LO", "Müller")
    assert settle_character_sets(read(dataset, (b"ISO_IR 100", b" " * 10))) == set()


@pytest.mark.parametrize("implicit", [False, True])
def test_text_beyond_ascii_without_a_character_set_is_taken_for_utf_8(implicit: bool) -> None:
    dataset = read(image("ISO_IR 192"), (b"ISO_IR 192", b" " * 10), implicit=implicit)
    assert settle_character_sets(dataset) == {"character_set_assumed"}
    assert dataset.PatientName == LATIN


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("is_open", [False, True])
def test_items_inherit_the_encoding_that_was_settled(implicit: bool, is_open: bool) -> None:
    dataset = image("ISO_IR 100", "Plain^Name", ProcedureCodeSequence=[code_item("1", "99LOCAL", "Röntgen")])
    dataset["ProcedureCodeSequence"].is_undefined_length = is_open  # such sequences are parsed at once, others later
    known, unknown = (
        read(dataset, (b"ISO_IR 100", term), implicit=implicit) for term in (b"ISO_IR 100", b"ISO_IR 999")
    )
    assert settle_character_sets(known) == set()
    assert known.ProcedureCodeSequence[0].CodeMeaning == "Röntgen"
    assert settle_character_sets(unknown) == {"character_set_unknown"}
    assert unknown.ProcedureCodeSequence[0].CodeMeaning == "R\ufffdntgen"


def test_items_may_have_an_encoding_of_their_own() -> None:
    items = [named("ISO_IR 126", "Διονυσιος"), named("", "Plain"), named("ISO_IR 144", "Люк")]
    dataset = read(image("ISO_IR 100", OtherPatientIDsSequence=items), (b"ISO_IR 144", b"ISO_IR 999"))
    assert settle_character_sets(dataset) == {"character_set_unknown"}
    greek, plain, unknown = dataset.OtherPatientIDsSequence
    assert (greek.PatientName, plain.PatientName) == ("Διονυσιος", "Plain")
    assert "\ufffd" in str(unknown.PatientName)
    assert dataset.PatientName == LATIN


def test_damaged_sequences_are_passed_over() -> None:
    dataset = image("ISO_IR 999", "Plain^Name", ProcedureCodeSequence=[code_item("1", "99LOCAL", "meaning")])
    del dataset.AnatomicRegionSequence, dataset.ViewCodeSequence
    damaged = read(dataset, (b"\xfe\xff\x00\xe0", b"\x12\x34\x56\x78"))
    assert settle_character_sets(damaged) == {"character_set_unknown"}


def test_decoded_text_of_a_new_data_set_stays_as_it_is() -> None:
    dataset = named("ISO_IR 999")
    assert settle_character_sets(dataset) == {"character_set_unknown"}
    assert dataset.PatientName == LATIN
