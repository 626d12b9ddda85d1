"""DICOM Encapsulated PDF: the summary page as a document of the patient's study."""

from __future__ import annotations

from highdicom import SOPClass
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from monai_chexmask_u.dicom import codes
from monai_chexmask_u.dicom.equipment import EQUIPMENT
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.reading.quiet import no_warnings
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.radiograph import Radiograph, note_in_words
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["build_encapsulated_pdf"]


@no_warnings()
def build_encapsulated_pdf(
    document: bytes,
    segmentation: LandmarkSegmentation,
    source: SourceImage,
    numbering: Numbering,
) -> Dataset:
    """Build an Encapsulated PDF of a document that shows the result; nobody has verified it.

    Args:
        document: the bytes of a PDF file.
        segmentation: the result for that radiograph.
        source: the radiograph, with its cleaned header.
        numbering: of the run.

    Raises:
        ValueError: if result and source are not of one image, or the document is no PDF.

    References:
        DICOM PS3.3, A.45.1 Encapsulated PDF IOD
    """
    if not document.startswith(b"%PDF-"):
        raise ValueError(f"document must be a PDF, got {len(document)} bytes of something else")
    source.check_result(segmentation)
    header = source.header
    built: Dataset = SOPClass(
        study_instance_uid=header.StudyInstanceUID,
        **numbering.place("pdf", segmentation, header).arguments(),
        sop_class_uid=EncapsulatedPDFStorage,
        modality="DOC",
        series_description=f"Summary page ({segmentation.reliability.verdict}), not for diagnosis",
        specific_character_set=header.SpecificCharacterSet,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **EQUIPMENT,
    )
    built.copy_patient_and_study_information(header)
    _describe(built, segmentation, source.radiograph)
    built.SourceInstanceSequence = [_source(header)]
    _embed(built, document)
    return built


def _describe(built: Dataset, segmentation: LandmarkSegmentation, radiograph: Radiograph) -> None:
    built.ConversionType = "WSD"
    built.AcquisitionDateTime = None  # required, may be empty: a radiograph's header gives it in several ways
    built.ConceptNameCodeSequence = [CodedConcept.from_code(codes.IMAGING_MEASUREMENT_REPORT)]
    built.VerificationFlag = "UNVERIFIED"
    # The page names the radiograph by its UID, which is as good as a name to anybody with access to the archive.
    built.BurnedInAnnotation = "YES"
    title = [
        f"Lungs and heart, summary ({segmentation.reliability.verdict}). For research use only, not for diagnosis."
    ]
    # The document shows the radiograph; there is no attribute for comments.
    title += [note_in_words(note) for note in radiograph.notes if note == "burned_in_annotation"]
    built.DocumentTitle = " ".join(title)


def _source(header: Dataset) -> Dataset:
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    source.PurposeOfReferenceCodeSequence = [CodedConcept.from_code(codes.SOURCE_IMAGE)]
    return source


def _embed(built: Dataset, document: bytes) -> None:
    """Add the document, padded to an even length as all values are, and the length that it really has."""
    built.MIMETypeOfEncapsulatedDocument = "application/pdf"
    built.EncapsulatedDocumentLength = len(document)
    built.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
