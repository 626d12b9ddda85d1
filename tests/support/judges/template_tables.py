"""The rows of PS3.16's templates for measurement reports, as far as reports on radiographs use them.

They are written from the standard's tables, not from what any library writes. Where the standard leaves open what
readers rely on, the row is required, and a comment says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["MEASUREMENT_REPORT", "Row"]

MANY: Final = 1_000_000


@dataclass(frozen=True)
class Row:
    """One row of a template.

    Attributes:
        relationship: to the parent.
        value_type: of the content item.
        concept: code value and scheme of its concept name, ``"121071 DCM"``; None for any.
        least: how often it must be there.
        most: how often it may be there.
        group: number of the context group (CID) that a coded value must be of.
        unit: UCUM code of a number's unit.
        template: identifier of the template that the item must say it is made by.
        needs: concept of a sibling without which the row makes no sense.
        rows: of its content.
    """

    relationship: str
    value_type: str
    concept: str | None = None
    least: int = 0
    most: int = 1
    group: int | None = None
    unit: str | None = None
    template: str | None = None
    needs: str | None = None
    rows: tuple[Row, ...] = ()


_OBSERVER, _MODIFIER, _CONTENT, _PROPERTY = "HAS OBS CONTEXT", "HAS CONCEPT MOD", "CONTAINS", "HAS PROPERTIES"
_ACQUISITION, _SOURCE = "HAS ACQ CONTEXT", "INFERRED FROM"

# TID 1204 Language of Content Item and Descendants
_LANGUAGE: Final = (
    Row(_MODIFIER, "CODE", "121049 DCM", rows=(Row(_MODIFIER, "CODE", "121046 DCM"),)),  # the country
)

# TID 1001 Observation Context, 1002 Observer Context, 1004 Device Observer Identifying Attributes
_DEVICE: Final = (
    Row(_OBSERVER, "CODE", "121005 DCM", least=1, group=270),  # Observer Type: without it, it would be a person
    Row(_OBSERVER, "UIDREF", "121012 DCM", least=1),
    *(Row(_OBSERVER, "TEXT", f"{number} DCM") for number in range(121013, 121018)),  # name, manufacturer, model ...
    Row(_OBSERVER, "CODE", "113876 DCM", most=MANY, group=7445),  # Device Role in Procedure
)

# TID 1602 Image Library Entry Descriptors, with 1603 for projection radiography
_DESCRIPTORS: Final = (
    Row(_ACQUISITION, "CODE", "121139 DCM", group=33),  # Modality
    Row(_ACQUISITION, "CODE", "123014 DCM", group=4031),  # Target Region
    Row(_ACQUISITION, "CODE", "111027 DCM", group=244),  # Image Laterality
    *(Row(_ACQUISITION, "DATE", f"{number} DCM") for number in (111060, 111018, 126201)),
    *(Row(_ACQUISITION, "TIME", f"{number} DCM") for number in (111061, 111019, 126202)),
    Row(_ACQUISITION, "NUM", "110910 DCM", unit="{pixels}"),  # Pixel Data Rows
    Row(_ACQUISITION, "NUM", "110911 DCM", unit="{pixels}"),  # Pixel Data Columns
    Row(_ACQUISITION, "CODE", "111031 DCM", rows=(Row(_MODIFIER, "CODE", "111032 DCM", most=MANY),)),  # Image View
    Row(_ACQUISITION, "TEXT", "111044 DCM"),  # Patient Orientation Row
    Row(_ACQUISITION, "TEXT", "111043 DCM"),  # Patient Orientation Column
    Row(_ACQUISITION, "NUM", "111026 DCM", unit="mm"),  # Horizontal Pixel Spacing
    Row(_ACQUISITION, "NUM", "111066 DCM", unit="mm"),  # Vertical Pixel Spacing
)

# TID 1600 Image Library, 1601 Image Library Entry; the library is optional, but older viewers look images up in it.
_LIBRARY_GROUP: Final = (*_DESCRIPTORS, Row(_CONTENT, "IMAGE", least=1, most=MANY, rows=_DESCRIPTORS))
_LIBRARY: Final = Row(
    _CONTENT,
    "CONTAINER",
    "111028 DCM",
    least=1,
    rows=(Row(_CONTENT, "CONTAINER", "126200 DCM", least=1, most=MANY, rows=_LIBRARY_GROUP),),
)

_SITE: Final = Row(
    _MODIFIER,
    "CODE",
    "363698007 SCT",
    most=MANY,
    rows=(Row(_MODIFIER, "CODE", "272741003 SCT", group=244), Row(_MODIFIER, "CODE", "106233006 SCT")),
)
_METHOD: Final = Row(_MODIFIER, "CODE", "370129005 SCT")

# TID 4019 Algorithm Identification: who names an algorithm must name its version.
_ALGORITHM: Final = (
    Row(_MODIFIER, "TEXT", "111001 DCM", needs="111003 DCM"),
    Row(_MODIFIER, "TEXT", "111003 DCM", needs="111001 DCM"),
    Row(_MODIFIER, "TEXT", "122405 DCM", needs="111001 DCM"),  # Algorithm Manufacturer
    Row(_MODIFIER, "TEXT", "111002 DCM", most=MANY, needs="111001 DCM"),  # Algorithm Parameters
    Row(_MODIFIER, "CODE", "111000 DCM", group=7162, needs="111001 DCM"),  # Algorithm Family
)

# TID 310 Measurement Properties, with 311 Measurement Statistical Properties
_PROPERTIES: Final = (
    Row(_PROPERTY, "CODE", "121402 DCM", group=222),  # Normality
    Row(_PROPERTY, "CODE", "121403 DCM", group=220),  # Level of Significance
    Row(_PROPERTY, "CODE", "121404 DCM", group=224),  # Selection Status
    Row(_PROPERTY, "NUM", most=MANY),  # context groups 225, 226 and 227
    Row(_PROPERTY, "TEXT", "121405 DCM"),  # Population Description
    Row(_PROPERTY, "TEXT", "121406 DCM"),  # Reference Authority
)

# TID 320 Image or Spatial Coordinates
_SELECTED: Final = (Row("SELECTED FROM", "IMAGE", least=1),)
_SOURCES: Final = (
    Row(_SOURCE, "IMAGE", most=MANY),
    Row(_SOURCE, "SCOORD", most=MANY, rows=_SELECTED),
)

# TID 300 Measurement, and the numbers of TID 1419 ROI Measurements, which have no coordinates of their own
_ROI_NUMBER: Final = (
    Row(_MODIFIER, "CODE", "121401 DCM", group=7464),  # Derivation
    _METHOD,
    _SITE,
    *_ALGORITHM,
    *_PROPERTIES,
    Row(_SOURCE, "NUM", most=MANY),
    Row(_MODIFIER, "CODE", most=MANY),
)
_NUMBER: Final = (*_ROI_NUMBER, *_SOURCES)

# The tracking identifiers are optional, but viewers and dcmqi tell groups apart by them.
_GROUP: Final = (
    Row(_OBSERVER, "TEXT", "C67447 NCIt"),  # Activity Session
    Row(_OBSERVER, "TEXT", "112039 DCM", least=1),
    Row(_OBSERVER, "UIDREF", "112040 DCM", least=1),
    Row(_CONTENT, "CODE", "276214006 SCT"),  # Finding category
    Row(_CONTENT, "CODE", "121071 DCM"),  # Finding
    _METHOD,
    _SITE,
    *_ALGORITHM,
    Row(_CONTENT, "IMAGE", "121200 DCM", most=MANY),  # Illustration of ROI
    Row(_CONTENT, "IMAGE", "130401 DCM", most=MANY),  # Visual explanation
    Row(_CONTENT, "CODE", most=MANY, rows=(Row(_MODIFIER, "CODE", most=MANY),)),  # qualitative evaluations
    Row(_CONTENT, "TEXT", most=MANY),
)

# TID 1410 Planar ROI Measurements and Qualitative Evaluations, of the two kinds of region the one by coordinates
_PLANAR: Final = (
    *_GROUP,
    Row(_CONTENT, "CODE", "130400 DCM", group=219),  # Geometric purpose of region
    Row(_CONTENT, "SCOORD", "111030 DCM", least=1, rows=_SELECTED),
    Row(_CONTENT, "NUM", most=MANY, rows=_ROI_NUMBER),
)

# TID 1501 Measurement and Qualitative Evaluation Group
_IMAGE_GROUP: Final = (
    *_GROUP,
    Row(_CONTENT, "NUM", most=MANY, rows=_NUMBER),
    Row(_CONTENT, "IMAGE", "121112 DCM", most=MANY),  # Source of Measurement
)

# TID 1500 Measurement Report; the procedure is optional in new editions only
MEASUREMENT_REPORT: Final = Row(
    "",
    "CONTAINER",
    least=1,
    template="1500",
    rows=(
        *_LANGUAGE,
        *_DEVICE,
        Row(_MODIFIER, "CODE", "121058 DCM", least=1, most=MANY),  # Procedure reported
        _LIBRARY,
        Row(
            _CONTENT,
            "CONTAINER",
            "126010 DCM",  # Imaging Measurements
            least=1,
            rows=(
                *_ALGORITHM,
                Row(_CONTENT, "CONTAINER", "125007 DCM", most=MANY, template="1410", rows=_PLANAR),
                Row(_CONTENT, "CONTAINER", "125007 DCM", most=MANY, template="1501", rows=_IMAGE_GROUP),
            ),
        ),
    ),
)
