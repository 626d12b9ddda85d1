"""Which view of the chest a header names, in the words of the languages whose characters are read.

Importing this does not import pydicom, so that the choice of a reader stays quick.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from monai_chexmask_u.dicom.reading.attributes import codes, meanings, text
from monai_chexmask_u.radiograph import RadiographError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["not_frontal", "view_of"]

# SNOMED codes, today's and older ones.
VIEW_OF_CODE: Final = {
    **dict.fromkeys(("272479007", "R-10214", "R-40888"), "PA"),
    **dict.fromkeys(("399348003", "R-10206"), "AP"),
    **dict.fromkeys(("399033003", "R-10202"), None),  # frontal, either way
}

# Whole words, without accents: defined terms of CR and DX, what manufacturers write, and what technicians do.
_LATERAL: Final = """
LL RL LAT LLAT RLAT LATL LATR LATERAL LATERALE LATERALIS LATERALNA LATERALNE LATEROLATERAL LATEROLATERALE XTL
PROFIL PROFILE PROFILO PERFIL SEITLICH SEITLICHE SEITL LATERAAL ZIJDELINGS ZIJDELINGSE BOKOWE BOKOWA BOCZNE BOCZNA
BOCNI BOCNY BOCNA SIDOBILD OLDALIRANYU SWIMMER SWIMMERS
БОКОВАЯ БОКОВОИ БОКОВОЕ ΠΛΑΓΙΑ ΠΡΟΦΙΛ צדדי צידי جانبي جانبية
"""
_OBLIQUE: Final = """
OBL OBLIQUE OBLIQUA OBLIQUO OBLIQUUS OBLICUA OBLICUO SCHRAG SCHRAEG SCHUIN SKOSNE SKOSNA SIKMA SIKMY
LAO RAO LPO RPO LLO RLO КОСАЯ ΛΟΞΗ
"""
_FRONTAL: Final = """
PA AP PAL APL POSTEROANTERIOR ANTEROPOSTERIOR FRONTAL FRONTALE FRONTALIS ФРОНТАЛЬНАЯ ПРЯМАЯ ΠΡΟΣΘΙΟΠΙΣΘΙΑ
"""
OTHER_VIEWS: Final = frozenset((_LATERAL + _OBLIQUE).split())
FRONTAL: Final = frozenset(_FRONTAL.split())
# Radiographs of a patient lying on a side; lying on the back is said in like words, and is frontal.
DECUBITUS: Final = re.compile(r"(LL|RL|[LR])?(DECUB|DEKUB)\w*|LLD|RLD")
ON_THE_BACK: Final = re.compile(r"SUPIN\w*|DORSAL\w*|PRONE|PRONO|VENTRAL\w*")
# Scripts that put no blanks between words.
UNSPACED_SIDE: Final = ("側面", "侧位", "側位", "側臥", "侧卧", "斜位", "측면", "사위", "ด้านข้าง")
UNSPACED_FRONT: Final = ("正面", "正位", "정면")

VIEWS: Final = (
    ("PA", re.compile(r"\bPA\b|\bP A\b|POSTERO ?ANTERIOR")),
    ("AP", re.compile(r"\bAP\b|\bA P\b|ANTERO ?POSTERIOR")),
)
# They name what was ordered, for all images of a study perhaps: they count where nothing better contradicts them.
DESCRIPTIONS: Final = ("SeriesDescription", "ProtocolName", "StudyDescription")
DESCRIBING_SEQUENCES: Final = ("ProcedureCodeSequence", "PerformedProtocolCodeSequence", "AcquisitionContextSequence")


def view_of(header: Dataset) -> tuple[str | None, list[str]]:
    """Return PA or AP, or None where the header is silent or contradicts itself, and notes.

    Position, body part and view codes decide. Descriptions refuse an image where position and codes are silent, and
    otherwise raise a doubt.

    Args:
        header: a data set.

    Raises:
        RadiographError: ``not_frontal``.
    """
    position, coded = text(header, "ViewPosition"), codes(header, "ViewCodeSequence")
    of_codes = meanings(header, "ViewCodeSequence")
    if says_side(position) or any(map(says_side, of_codes)):
        raise not_frontal("the header's view")
    if any(code not in VIEW_OF_CODE for code in coded):
        raise not_frontal("the header's view", "has a code that is none of a frontal view")
    words = " ".join(words_of(position))
    named = {view for view, pattern in VIEWS if pattern.search(words)}
    named |= {view for view in map(VIEW_OF_CODE.__getitem__, coded) if view}
    is_frontal = bool(named) or bool(coded) or says_front(position)
    described = [text(header, keyword) for keyword in ("BodyPartExamined", *DESCRIPTIONS)]
    described += [meaning for keyword in DESCRIBING_SEQUENCES for meaning in meanings(header, keyword)]
    is_doubted = any(says_side(each) and not says_front(each) for each in described)
    if is_doubted and not is_frontal:
        raise not_frontal("a description in the header")
    view = named.pop() if len(named) == 1 else None
    return view, [name for name, holds in (("view_contradicted", is_doubted), ("view_unknown", view is None)) if holds]


def not_frontal(source: str, says: str = "says lateral, oblique or lying on the side") -> RadiographError:
    """Return the refusal of another view, with what names it."""
    return RadiographError("not_frontal", f"{source} {says}: choose the frontal (PA or AP) view")


def says_side(term: str) -> bool:
    """Say whether a text names a lateral or oblique view, or a patient lying on a side."""
    words = words_of(term)
    if not OTHER_VIEWS.isdisjoint(words) or any(each in term for each in UNSPACED_SIDE):
        return True
    return any(map(DECUBITUS.fullmatch, words)) and not any(map(ON_THE_BACK.fullmatch, words))


def says_front(term: str) -> bool:
    """Say whether a text names a frontal view."""
    words = words_of(term)
    spaced = " ".join(words)
    return (
        not FRONTAL.isdisjoint(words)
        or any(pattern.search(spaced) for _, pattern in VIEWS)
        or any(each in term for each in UNSPACED_FRONT)
    )


def words_of(term: str) -> list[str]:
    """Return the words of a text in capitals, without accents, however they are joined.

    Example:
        >>> words_of("Schräg_LAO1 p.a.")
        ['SCHRAG', 'LAO', 'P', 'A']
    """
    plain = "".join(each for each in unicodedata.normalize("NFKD", term.upper()) if not unicodedata.combining(each))
    return re.findall(r"[^\W\d_]+", plain)
