"""Files are there whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from monai_chexmask_u.dicom.numbering import SERIES_NUMBERS, Numbering
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.dicom.write import BUILDERS, write_object
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

Results = Callable[..., LandmarkSegmentation]
Radiographs = Callable[[str], Radiograph]


@pytest.fixture
def radiograph(radiograph_of: Radiographs) -> Radiograph:
    return radiograph_of("dx")


@pytest.fixture
def result(radiograph: Radiograph, result_for: Results) -> LandmarkSegmentation:
    return result_for(radiograph)


every_kind = pytest.mark.parametrize("kind", BUILDERS)


@every_kind
def test_file_is_readable_and_replaces_an_older_one(
    kind: str, radiograph: Radiograph, result: LandmarkSegmentation, tmp_path: Path
) -> None:
    path = tmp_path / "x.dcm"
    path.write_text("older")
    write_object(kind, result, SourceImage(radiograph), path, Numbering())
    dataset = pydicom.dcmread(path)
    assert dataset.file_meta.MediaStorageSOPClassUID == dataset.SOPClassUID
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert dataset.StudyInstanceUID == radiograph.header.StudyInstanceUID
    assert dataset.SeriesNumber == SERIES_NUMBERS[kind]
    assert list(tmp_path.iterdir()) == [path]


@every_kind
def test_failure_half_way_leaves_the_older_file(
    kind: str,
    radiograph: Radiograph,
    result: LandmarkSegmentation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full_disk(dataset: Dataset, filename: Path, **options: Any) -> None:
        Path(filename).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(Dataset, "save_as", full_disk)
    path = tmp_path / "x.dcm"
    path.write_text("older")
    with pytest.raises(OSError, match="no space left"):
        write_object(kind, result, SourceImage(radiograph), path, Numbering())
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


@every_kind
def test_no_warning_quotes_the_patient(
    kind: str, radiograph_of: Radiographs, result_for: Results, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    radiograph = radiograph_of("bad_header")
    result = result_for(radiograph)
    recwarn.clear()
    write_object(kind, result, SourceImage(radiograph), tmp_path / "x.dcm", Numbering())
    assert [str(warning.message) for warning in recwarn] == []


@every_kind
def test_image_file_leaves_nothing_behind(
    kind: str, radiograph: Radiograph, result: LandmarkSegmentation, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="no DICOM outputs can be made of"):
        write_object(kind, result, SourceImage(replace(radiograph, header=None)), tmp_path / "x.dcm", Numbering())
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_not_there_is_an_error(
    radiograph: Radiograph, result: LandmarkSegmentation, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match=r"x\.dcm: this file cannot be written \(No such file"):
        write_object("seg", result, SourceImage(radiograph), tmp_path / "absent" / "x.dcm", Numbering())


def test_outputs_share_a_source_and_leave_it_as_it_was(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    source, numbering = SourceImage(radiograph), Numbering()
    before = deepcopy(source.header)
    for build in BUILDERS.values():
        build(result, source, numbering)
    assert source.header == before
