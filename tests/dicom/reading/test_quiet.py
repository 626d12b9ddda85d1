"""What packages say of a header stays out of terminals and logs."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pytest
from pydicom import config
from support.samples.dicom import make_dx, save

from monai_chexmask_u.dicom.reading.quiet import no_warnings
from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.dicom.source import SourceImage

SECRET = "SECRET" * 20


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    """Make the loggers heard, which commands silence for good."""
    for name in ("pydicom", "highdicom", "highdicom.base"):
        caplog.set_level(logging.WARNING, logger=name)


@pytest.mark.parametrize("name", ["pydicom", "highdicom.base"])
def test_loggers_are_silent_inside_alone(caplog: pytest.LogCaptureFixture, name: str) -> None:
    logger = logging.getLogger(name)
    with no_warnings(), no_warnings():
        logger.critical(SECRET)
    assert caplog.text == ""
    logger.warning("said again")
    assert "said again" in caplog.text


def test_loggers_are_heard_again_after_an_error(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="oops"), no_warnings():
        raise ValueError("oops")
    logging.getLogger("pydicom").warning("said again")
    assert "said again" in caplog.text


def test_other_loggers_are_heard(caplog: pytest.LogCaptureFixture) -> None:
    with no_warnings():
        logging.getLogger("monai_chexmask_u").warning("written")
    assert "written" in caplog.text


def test_values_of_a_header_are_not_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = make_dx(rows=64, columns=64)
    with config.disable_value_validation():
        dataset.PatientName = SECRET
        for keyword in ("PatientID", "AccessionNumber", "PatientSex", "PatientBirthDate", "StudyTime"):
            dataset[keyword]._value = SECRET
        path = save(dataset, tmp_path / "source.dcm")
    with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.DEBUG):
        warnings.simplefilter("always")
        radiograph = read_dicom(path)
        SourceImage(radiograph)
    assert "SECRET" not in caplog.text + " ".join(str(warning.message) for warning in caught)
    assert "identifier_invalid:patient_id" in radiograph.notes
