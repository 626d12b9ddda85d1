"""Which view a header names, and how it says that the image lies."""

from __future__ import annotations

from typing import Any

import pytest
from support.samples.dicom import code_item
from support.samples.headers import changed, examine_changed, refusal


@pytest.mark.parametrize(
    "term",
    [
        *("LL", "RL", "LATERAL", "LLAT", "Lat", "LEFT LATERAL", "RAO", "LPO", "OBLIQUE", "LLD"),
        *("LEFT_LATERAL", "LAT_L", "L-LAT", "LATERAL1", "LATERALE", "LATERO_LATERAL", "LATEROLATERAL"),
        *("PROFIL", "PROFILE", "THORAX_PROFIL"),
    ],
)
def test_refuses_lateral_oblique_and_decubitus_positions(term: str) -> None:
    assert refusal(changed(ViewPosition=term)) == "not_frontal"


@pytest.mark.parametrize(
    "term",
    [
        "PA",
        "PA_L",
        "PA-R",
        "PA_UPRIGHT",
        "PA1",
        "PA LATERALITY L",
        "BILATERAL PA",
        "POSTERO_ANTERIOR",
        "PA LOW_PROFILED",
    ],
)
def test_takes_frontal_positions_in_other_words(term: str) -> None:
    assert examine_changed(ViewPosition=term).view == "PA"


WORDS = [
    *("PERFIL", "SEITLICH", "LATERAAL", "BOKOWE", "OBLICUA", "DECUB", "LLDECUB", "XTL", "SWIMMERS", "LATL", "PROFILO"),
    *("schräg", "oblíqua", "Łopatka boczna", "боковая", "πλάγια", "胸部側面", "胸部 侧位", "흉부 측면", "صورة جانبية"),
]


@pytest.mark.parametrize("term", WORDS)
def test_refuses_other_views_in_many_languages_wherever_they_stand(term: str) -> None:
    for keyword in ("ViewPosition", "BodyPartExamined", "SeriesDescription", "StudyDescription", "ProtocolName"):
        words = f"THORAX {term}" if keyword == "BodyPartExamined" else term
        values: dict[str, Any] = {"ViewPosition": None, "ViewCodeSequence": [], keyword: words}
        assert refusal(changed(**values)) == "not_frontal", keyword
    meaning = code_item("L1", "99OWN", term)
    assert refusal(changed(ViewCodeSequence=[meaning])) == "not_frontal"
    assert refusal(changed(ViewPosition=None, ViewCodeSequence=[], ProcedureCodeSequence=[meaning])) == "not_frontal"


@pytest.mark.parametrize("keyword", ["SeriesDescription", "StudyDescription", "ProtocolName", "BodyPartExamined"])
def test_a_description_that_contradicts_a_frontal_position_is_a_doubt(keyword: str) -> None:
    facts = examine_changed(ViewPosition="PA", **{keyword: "THORAX LATERAL"})
    assert (facts.view, "view_contradicted" in facts.notes) == ("PA", True)


@pytest.mark.parametrize(
    "words",
    [
        *("CHEST PA AND LAT", "Thorax p.a. / seitlich", "胸部正面・側面", "THORAX AP DECUBITO LATERAL PA"),
        *("BILATERAL RIBS", "LATERALITY", "AP SUPINE", "DECUBITO SUPINO", "dorsal decubitus", "PROFILED", "PLATE"),
    ],
)
def test_descriptions_of_several_views_or_of_none_say_nothing(words: str) -> None:
    for position in ("PA", None):
        facts = examine_changed(ViewPosition=position, SeriesDescription=words)
        assert "view_contradicted" not in facts.notes


@pytest.mark.parametrize("orientation", [["A", "F"], ["P", "F"], ["A", "H"], ["AR", "F"], ["L", "P"]])
def test_refuses_orientations_that_no_frontal_image_has(orientation: list[str]) -> None:
    assert refusal(changed(PatientOrientation=orientation)) == "not_frontal"


@pytest.mark.parametrize("code", ["399173006", "399198007", "399067008", "399182000", "R-10236"])
def test_refuses_view_codes_other_than_frontal_ones(code: str) -> None:
    scheme = "SRT" if code.startswith("R") else "SCT"
    assert refusal(changed(ViewCodeSequence=[code_item(code, scheme, "some view")])) == "not_frontal"


@pytest.mark.parametrize(
    ("position", "code", "view"),
    [
        ("PA", None, "PA"),
        ("AP", None, "AP"),
        ("AP SUPINE", None, "AP"),
        ("POSTERO-ANTERIOR", None, "PA"),
        ("ANTEROPOSTERIOR", None, "AP"),
        ("", "399348003", "AP"),
        ("", "R-10214", "PA"),
        ("", "399033003", None),
        ("PA", "399348003", None),
        ("FRONTAL", None, None),
        (None, None, None),
    ],
)
def test_view_comes_from_position_and_code(position: str | None, code: str | None, view: str | None) -> None:
    coded = [code_item(code, "SRT" if code.startswith("R") else "SCT", "view")] if code else []
    facts = examine_changed(ViewPosition=position, ViewCodeSequence=coded)
    assert facts.view == view
    assert ("view_unknown" in facts.notes) == (view is None)


@pytest.mark.parametrize(
    ("orientation", "mirrored", "upside_down", "notes"),
    [
        (["L", "F"], False, False, set()),
        (["LA", "FP"], False, False, set()),
        (["R", "F"], True, False, {"mirrored"}),
        (["L", "H"], False, True, {"upside_down"}),
        (["R", "H"], True, True, {"mirrored", "upside_down"}),
        ("", False, False, {"orientation_assumed"}),
        (None, False, False, {"orientation_assumed"}),
        (["L"], False, False, {"orientation_assumed"}),
        ("R", True, False, {"mirrored", "orientation_assumed"}),
        (["R", ""], True, False, {"mirrored", "orientation_assumed"}),
        (["", "H"], False, True, {"upside_down", "orientation_assumed"}),
        (["L", "R"], False, False, {"orientation_assumed"}),
    ],
)
def test_orientation_tells_what_is_turned_over(
    orientation: Any, mirrored: bool, upside_down: bool, notes: set[str]
) -> None:
    facts = examine_changed(PatientOrientation=orientation)
    assert (facts.mirrored, facts.upside_down) == (mirrored, upside_down)
    assert set(facts.notes) & {"mirrored", "upside_down", "orientation_assumed"} == notes
