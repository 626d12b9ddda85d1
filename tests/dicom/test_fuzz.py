"""Damaged files: none may end the process, hang it, take all memory, leave results behind, or tell who the patient is.

`benchmarks/fuzz_dicom.py` runs as many of them as wanted; here are the first hundred, or `DAMAGED=500` of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword
from support.fuzzing.faults import FAULTS
from support.fuzzing.harness import Case, Limits, Result, run_cases
from support.mutations import STRATEGIES, mutated, seeds
from support.mutations.attributes import NASTY, TYPES
from support.mutations.elements import EXPLICIT, Element, joined, take_apart

from monai_chexmask_u import dicom
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.dicom.write import write_object
from monai_chexmask_u.radiograph import Radiograph, RadiographError

DAMAGED_FILES: Final = int(os.environ.get("DAMAGED", "100"))
NAMES: Final = tuple(seeds())
# Every attribute that the library names when it reads a file or copies from its header.
FILES: Final = Path(str(dicom.__file__)).parent.rglob("*.py")
SOURCES: Final = "".join(file.read_text() for file in FILES)
KEYWORDS: Final = sorted(word for word in set(re.findall(r"\b[A-Z]\w+", SOURCES)) if tag_for_keyword(word))
# Some of every part: of what is read, of the pixels, the patient, and what segmentation, state and report take over.
NAMED: Final = {
    *("PhotometricInterpretation", "BitsStored", "PixelPaddingRangeLimit", "ModalityLUTSequence", "VOILUTFunction"),
    *("ImagerPixelSpacing", "SpecificCharacterSet", "PatientSpeciesCodeSequence", "ViewCodeSequence"),
    *("PatientID", "IssuerOfPatientID", "OtherPatientIDsSequence", "ClinicalTrialSponsorName", "StudyInstanceUID"),
    *("PatientOrientation", "SegmentSequence", "SoftcopyVOILUTSequence", "PresentationPixelSpacing"),
    *("ContentSequence", "LossyImageCompressionRatio", "ImagePositionPatient", "NominalScannedPixelSpacing"),
}
VALUES: Final = st.text(max_size=80).map(str.encode) | st.binary(max_size=80) | st.sampled_from(NASTY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def read(folder: Path) -> Callable[[bytes], Radiograph | None]:
    """Read a file of these bytes; None if it is refused in words."""

    def read_bytes(data: bytes) -> Radiograph | None:
        path = folder / "radiograph.dcm"
        path.write_bytes(data)
        try:
            return read_dicom(path)
        except RadiographError:
            return None

    return read_bytes


def cases() -> Iterator[Case]:
    for number in range(DAMAGED_FILES):
        name = NAMES[number % len(NAMES)]
        yield Case(f"{name}/{number}", *mutated(name, number))


def test_all_attributes_that_the_library_names_are_tried() -> None:
    assert NAMED - set(KEYWORDS) == set()
    assert len(KEYWORDS) >= 180, "sources were moved out of the reach of this search"


def test_damaged_files_are_refused_in_words_or_segmented(folder: Path) -> None:
    results = list(run_cases(cases(), folder, judged_every=16))
    assert [(result.case.name, result.findings) for result in results if result.findings] == []
    outcomes = {result.outcome for result in results}
    assert {"accepted", "truncated", "undecodable"} <= outcomes  # the damage is neither too small nor too great


@settings(max_examples=200)
@given(
    seed=st.sampled_from(NAMES),
    keyword=st.sampled_from(KEYWORDS),
    value=VALUES,
    kind=st.none() | st.sampled_from(TYPES),
)
def test_no_value_of_an_attribute_is_worse_than_refused(
    read: Callable[[bytes], Radiograph | None], seed: str, keyword: str, value: bytes, kind: bytes | None
) -> None:
    read(with_value(seed, keyword, value, kind))


@settings(max_examples=15)
@given(
    seed=st.sampled_from(NAMES),
    changes=st.lists(st.tuples(st.sampled_from(KEYWORDS), VALUES), min_size=1, max_size=3),
)
def test_what_is_read_can_be_written(
    read: Callable[[bytes], Radiograph | None],
    result_for: Callable[..., Any],
    folder: Path,
    seed: str,
    changes: list[tuple[str, bytes]],
) -> None:
    file = take_apart(seeds()[seed])
    for keyword, value in changes:
        file = file.replaced(*replacement(keyword, value, None))
    radiograph = read(file.data())
    if radiograph is None:
        return
    for kind in ("seg", "pr", "sr"):
        write_object(kind, result_for(radiograph), SourceImage(radiograph), folder / f"{kind}.dcm", Numbering())


@given(rest=st.binary(max_size=400))
def test_noise_after_a_preamble_is_refused(read: Callable[[bytes], Radiograph | None], rest: bytes) -> None:
    assert read(bytes(128) + b"DICM" + rest) is None


@given(seed=st.sampled_from(NAMES), body=st.binary(max_size=400))
def test_noise_after_the_meta_information_is_refused(
    read: Callable[[bytes], Radiograph | None], seed: str, body: bytes
) -> None:
    assert read(bytes(128) + b"DICM" + joined(take_apart(seeds()[seed]).meta, EXPLICIT) + body) is None


def with_value(seed: str, keyword: str, value: bytes, kind: bytes | None) -> bytes:
    return take_apart(seeds()[seed]).replaced(*replacement(keyword, value, kind)).data()


def replacement(keyword: str, value: bytes, kind: bytes | None) -> tuple[int, Element]:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return tag, Element(tag, kind or dictionary_VR(tag)[:2].encode(), value)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """What the harness finds of a pipeline that does everything that must not happen."""
    limits = Limits(cpu_seconds=0.5, wall_seconds=2, memory_bytes=250_000_000)
    names = [fault.__name__ for fault in FAULTS] + ["refused"]
    results = run_cases(
        [Case(name, "", name.encode()) for name in names],
        tmp_path_factory.mktemp("faults"),
        pipeline="support.fuzzing.faults:make_faults",
        limits=limits,
    )
    return {result.case.name: result for result in results}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_the_harness_notices(found: dict[str, Result], fault: Callable[[Path], object]) -> None:
    assert any(FAULTS[fault] in finding for finding in found[fault.__name__].findings)


def test_the_harness_goes_on_after_faults_and_invents_none(found: dict[str, Result]) -> None:
    assert (found["refused"].outcome, found["refused"].findings) == ("truncated", ())


def test_a_name_and_a_number_give_the_same_file_again() -> None:
    assert all(mutated(name, 7) == mutated(name, 7) for name in NAMES)
    assert len({mutated("dx", number)[1] for number in range(50)}) > 45


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_way_of_damage_changes_files(name: str) -> None:
    damage, good = STRATEGIES[name], [seeds()[seed] for seed in ("dx_tables", "dx_rle", "dx_implicit")]
    assert any(damage(Random(number), data, good) != data for number in range(3) for data in good)
