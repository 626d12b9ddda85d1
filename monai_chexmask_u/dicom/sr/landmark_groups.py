"""The report's groups on landmarks, quickly: highdicom builds one of a kind, the others are that one with other values.

highdicom builds and copies every content item by itself, which takes two seconds for 120 groups. The groups of an organ
differ in their tracking identifiers, their point and their numbers alone, so that all the rest is encoded once.
What comes out is what highdicom's own groups are written as, byte for byte.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Final

from highdicom import sr
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.tag import Tag
from pydicom.valuerep import DS

from monai_chexmask_u.anatomy import NODE_COUNT, organ_of_node
from monai_chexmask_u.dicom.source import TrackingIds
from monai_chexmask_u.dicom.sr.measurements import NodeValues, node_group, node_values
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["append_groups", "landmark_groups"]

_CHARACTERS: Final = ["utf8"]
_ITEM: Final = b"\xfe\xff\x00\xe0"
_VARYING: Final = {
    "TEXT": "TextValue",
    "UIDREF": "UID",
    "SCOORD": "GraphicData",
    "NUM": "MeasuredValueSequence",
}


def landmark_groups(segmentation: LandmarkSegmentation, image: sr.SourceImageForRegion, ids: TrackingIds) -> bytes:
    """Encode one measurement group per landmark in Explicit VR Little Endian.

    Args:
        segmentation: the result.
        image: reference to the source image.
        ids: tracking UIDs.

    Returns:
        The items of a sequence: the 120 groups that `node_group` gives one by one.
    """
    forms: dict[Any, _Form] = {}
    groups = []
    for node in range(NODE_COUNT):
        values = node_values(node, segmentation, ids)
        kind = (organ_of_node(node), tuple(values.numbers), values.clipped)
        if kind not in forms:
            forms[kind] = _Form(node_group(node, segmentation, image, ids)[0])
        groups.append(forms[kind].filled(values))
    return b"".join(groups)


def append_groups(report: Dataset, encoded: bytes) -> None:
    """Append encoded groups to the measurement groups of a report.

    Args:
        report: a TID 1500 report to be written in Explicit VR Little Endian; its Imaging Measurements come last.
        encoded: from `landmark_groups`.
    """
    measurements = report.ContentSequence[-1]
    groups = _items(measurements.ContentSequence) + encoded
    tag = Tag("ContentSequence")
    measurements[tag] = RawDataElement(tag, "SQ", len(groups), groups, 0, False, True)
    # Else pydicom would parse all groups in order to encode them again.
    measurements.set_original_encoding(False, True, default_encoding)
    report.set_original_encoding(False, True, convert_encodings(report.SpecificCharacterSet))


class _Form:
    """An encoded measurement group with gaps for the values of a landmark.

    Args:
        group: a complete one, as highdicom builds it.
    """

    def __init__(self, group: Dataset) -> None:
        self._before, self._after = _around(group, "ContentSequence")
        self._items: list[_Gap | bytes] = [
            _Gap(item) if item.ValueType in _VARYING else _item(item) for item in group.ContentSequence
        ]

    def filled(self, values: NodeValues) -> bytes:
        """Encode the group of one landmark."""
        items = b"".join(item if isinstance(item, bytes) else item.filled(values) for item in self._items)
        return _wrapped(self._before + _sequence("ContentSequence", items) + self._after)


class _Gap:
    """An encoded content item without its value."""

    def __init__(self, item: Dataset) -> None:
        self._kind, self._name = item.ValueType, item.ConceptNameCodeSequence[0].CodeValue
        self._before, self._after = _around(item, _VARYING[self._kind])
        if self._kind == "NUM":
            self._unit = _element(item.MeasuredValueSequence[0]["MeasurementUnitsCodeSequence"])

    def filled(self, values: NodeValues) -> bytes:
        """Encode the item with the value of one landmark."""
        return _wrapped(self._before + self._value(values) + self._after)

    def _value(self, values: NodeValues) -> bytes:
        if self._kind == "NUM":
            number = values.numbers[self._name]
            exact = _element(DataElement("FloatingPointValue", "FD", number))
            text = _element(DataElement("NumericValue", "DS", DS(number, auto_format=True)))
            return _sequence("MeasuredValueSequence", _wrapped(self._unit + exact + text))
        if self._kind == "SCOORD":
            return _element(DataElement("GraphicData", "FL", values.point.ravel().tolist()))
        if self._kind == "UIDREF":
            return _element(DataElement("UID", "UI", values.uid))
        return _element(DataElement("TextValue", "UT", values.identifier))


def _around(item: Dataset, keyword: str) -> tuple[bytes, bytes]:
    """Encode the elements before and after one."""
    tag = Tag(keyword)
    before = b"".join(_element(element) for element in item if element.tag < tag)
    return before, b"".join(_element(element) for element in item if element.tag > tag)


def _element(element: DataElement) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_data_element(buffer, element, _CHARACTERS)
    return buffer.getvalue()


def _items(items: Iterable[Dataset]) -> bytes:
    return b"".join(map(_item, items))


def _item(item: Dataset) -> bytes:
    return _wrapped(b"".join(map(_element, item)))


def _wrapped(elements: bytes) -> bytes:
    """Return encoded elements as an item of a sequence."""
    return _ITEM + struct.pack("<L", len(elements)) + elements


def _sequence(keyword: str, items: bytes) -> bytes:
    """Return encoded items as a sequence."""
    tag = Tag(keyword)
    return struct.pack("<HH2sHL", tag.group, tag.element, b"SQ", 0, len(items)) + items
