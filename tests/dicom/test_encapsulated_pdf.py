"""The Encapsulated PDF holds the document byte by byte, and says whose it is and that nobody has verified it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pypdf import PdfReader

from monai_chexmask_u.dicom.encapsulated_pdf import build_encapsulated_pdf
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.writers.summary_page import summary_page

Results = Callable[..., LandmarkSegmentation]
Radiographs = Callable[[str], Radiograph]
ODD = b"%PDF-1.4 odd"[:-1]


@pytest.fixture(scope="module")
def of_source(source_name: str, radiograph_of: Radiographs, result_for: Results) -> tuple[Radiograph, Dataset]:
    """A source and the summary page built for it."""
    radiograph = radiograph_of(source_name)
    result = result_for(radiograph)
    return radiograph, build_encapsulated_pdf(
        summary_page(result, radiograph), result, SourceImage(radiograph), Numbering()
    )


@pytest.fixture(scope="module")
def built(radiograph: Radiograph, result: LandmarkSegmentation) -> Dataset:
    return build_encapsulated_pdf(ODD, result, SourceImage(radiograph), Numbering())


def saved(dataset: Dataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_validator_finds_no_error(
    of_source: tuple[Radiograph, Dataset], dciodvfy: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    assert dciodvfy(saved(of_source[1], tmp_path / "x.pdf.dcm")) == []


def test_validator_notices_a_missing_type_of_document(
    built: Dataset, dciodvfy: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    broken = pydicom.dcmread(saved(built, tmp_path / "x.pdf.dcm"))
    del broken.MIMETypeOfEncapsulatedDocument
    assert any("MIMETypeOfEncapsulatedDocument" in error for error in dciodvfy(saved(broken, tmp_path / "broken.dcm")))


@pytest.mark.parametrize("document", [ODD, ODD + b"+"])
def test_document_comes_back_byte_by_byte(
    document: bytes, radiograph: Radiograph, result: LandmarkSegmentation, tmp_path: Path
) -> None:
    built = build_encapsulated_pdf(document, result, SourceImage(radiograph), Numbering())
    stored = pydicom.dcmread(saved(built, tmp_path / "x.pdf.dcm"))
    assert len(built.EncapsulatedDocument) % 2 == len(stored.EncapsulatedDocument) % 2 == 0
    assert stored.EncapsulatedDocumentLength == len(document)
    assert stored.EncapsulatedDocument[: stored.EncapsulatedDocumentLength] == document
    assert stored.EncapsulatedDocument[stored.EncapsulatedDocumentLength :] in (b"", b"\0")
    assert stored.MIMETypeOfEncapsulatedDocument == "application/pdf"


def test_page_names_the_radiograph_and_not_the_patient(of_source: tuple[Radiograph, Dataset]) -> None:
    radiograph, built = of_source
    (page,) = PdfReader(BytesIO(built.EncapsulatedDocument)).pages
    text = page.extract_text()
    assert radiograph.header.SOPInstanceUID in text
    assert built.SOPInstanceUID not in text
    header = SourceImage(radiograph).header
    private = [header.PatientName.family_name, header.PatientName.ideographic, header.PatientID, radiograph.path.name]
    private = [str(word).lower() for word in private if word]
    assert len(private) >= 2
    assert [word for word in private if word in text.lower()] == []


def test_it_refers_to_the_radiograph_as_its_source(
    built: Dataset, radiograph: Radiograph, wrong_codes: Callable[[Dataset], set[tuple[str, str, str]]]
) -> None:
    (source,) = built.SourceInstanceSequence
    assert source.ReferencedSOPClassUID == radiograph.header.SOPClassUID
    assert source.ReferencedSOPInstanceUID == radiograph.header.SOPInstanceUID
    assert source.PurposeOfReferenceCodeSequence[0].CodeMeaning == "Source image"
    assert wrong_codes(built) == set()


def test_it_says_what_it_is_and_that_nobody_has_verified_it(built: Dataset) -> None:
    assert built.SOPClassUID == built.file_meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.104.1"
    assert (built.Modality, built.ConversionType) == ("DOC", "WSD")
    assert built.VerificationFlag == "UNVERIFIED"
    assert built.BurnedInAnnotation == "YES"
    assert built.ConceptNameCodeSequence[0].CodeMeaning == "Imaging Measurement Report"
    assert built.SeriesDescription == "Summary page (review), not for diagnosis"
    assert built.DocumentTitle == "Lungs and heart, summary (review). For research use only, not for diagnosis."


def test_text_in_the_source_is_passed_on(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    noted = replace(radiograph, notes=("burned_in_annotation",))
    title = build_encapsulated_pdf(ODD, result, SourceImage(noted), Numbering()).DocumentTitle
    assert title.endswith("text is burned into the image; it may identify the patient.")


def test_documents_of_one_study_are_numbered_in_one_series(
    radiograph: Radiograph, result: LandmarkSegmentation
) -> None:
    numbering = Numbering()
    first, second = (build_encapsulated_pdf(ODD, result, SourceImage(radiograph), numbering) for _ in range(2))
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert (first.InstanceNumber, second.InstanceNumber, first.SeriesNumber) == (1, 2, 105)
    assert (
        build_encapsulated_pdf(ODD, result, SourceImage(radiograph), Numbering()).SeriesInstanceUID
        != first.SeriesInstanceUID
    )


def test_what_is_no_pdf_is_refused(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    with pytest.raises(ValueError, match="document must be a PDF"):
        build_encapsulated_pdf(b"<html></html>", result, SourceImage(radiograph), Numbering())


def test_result_or_header_of_another_image_is_refused(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    with pytest.raises(ValueError, match="must be of one image"):
        build_encapsulated_pdf(ODD, replace(result, shape=(7, 9)), SourceImage(radiograph), Numbering())
    with pytest.raises(ValueError, match="no DICOM outputs can be made of"):
        build_encapsulated_pdf(ODD, result, SourceImage(replace(radiograph, header=None)), Numbering())
    with pytest.raises(ValueError, match="has no StudyInstanceUID"):
        build_encapsulated_pdf(ODD, result, SourceImage(without_study(radiograph)), Numbering())


def without_study(radiograph: Radiograph) -> Radiograph:
    header = deepcopy(radiograph.header)
    del header.StudyInstanceUID
    return replace(radiograph, header=header)
