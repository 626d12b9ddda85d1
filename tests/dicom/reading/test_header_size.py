"""Headers that would keep every output busy."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from support.samples.dicom import make_dx

from monai_chexmask_u.dicom.reading.header_size import MOST_ELEMENTS, MOST_LEVELS, check_header_size
from monai_chexmask_u.radiograph import RadiographError


def parsed(dataset: Dataset, *, implicit: bool = False, undefined: bool = False) -> Dataset:
    """Return a data set as it comes from a file, its sequences not parsed yet if their lengths are known."""
    file = BytesIO()
    for element in dataset.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = undefined
    dataset.save_as(file, implicit_vr=implicit, little_endian=True)
    file.seek(0)
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    read = dcmread(file, force=True)
    read.file_meta.TransferSyntaxUID = syntax
    return read


def with_items(count: int) -> Dataset:
    dataset = Dataset()
    dataset.ReferencedStudySequence = [Dataset() for _ in range(count)]
    return dataset


def nested(levels: int) -> Dataset:
    dataset = Dataset()
    for _ in range(levels):
        outer = Dataset()
        outer.ReferencedStudySequence = [dataset]
        dataset = outer
    return dataset


def test_a_radiograph_passes() -> None:
    check_header_size(make_dx(rows=64, columns=64))


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("undefined", [False, True])
def test_items_count(implicit: bool, undefined: bool) -> None:
    # The data set, and its only element.
    check_header_size(parsed(with_items(MOST_ELEMENTS - 2), implicit=implicit, undefined=undefined))
    with pytest.raises(RadiographError, match="5000 attributes") as refused:
        check_header_size(parsed(with_items(MOST_ELEMENTS - 1), implicit=implicit, undefined=undefined))
    assert refused.value.code == "too_large"


def test_attributes_count_private_ones_too() -> None:
    dataset = Dataset()
    for number in range(MOST_ELEMENTS):
        dataset.add_new(0x00091000 + number, "LO", "1")
    with pytest.raises(RadiographError, match="5000 attributes"):
        check_header_size(parsed(dataset))


@pytest.mark.parametrize("implicit", [False, True])
def test_levels_count(implicit: bool) -> None:
    check_header_size(parsed(nested(MOST_LEVELS), implicit=implicit))
    with pytest.raises(RadiographError, match="16 levels"):
        check_header_size(parsed(nested(MOST_LEVELS + 1), implicit=implicit))


def test_text_is_not_looked_at() -> None:
    dataset = make_dx(rows=64, columns=64)
    read = parsed(dataset)
    check_header_size(read)
    assert isinstance(read.get_item("PatientName"), RawDataElement)


def test_a_damaged_sequence_is_left_to_others() -> None:
    dataset = Dataset()
    tag = Tag("ReferencedStudySequence")
    dataset[tag] = RawDataElement(tag, "SQ", 2, b"ab", 0, False, True)
    with pytest.raises(OSError, match="No tag"):
        dataset[tag].value  # noqa: B018
    check_header_size(dataset)
