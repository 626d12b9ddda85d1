from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.samples.dicom import make_dx, save
from support.samples.segmentations import make_segmentation

from monai_chexmask_u.batch import Outcome, check_targets, segment_files, segment_folder
from monai_chexmask_u.model import Model
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.writers.formats import FORMATS, Format


class Phantom:
    """Segments everything alike, or fails at images of 65 rows."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def segment(self, radiograph: Radiograph) -> LandmarkSegmentation:
        if self.error and radiograph.shape[0] == 65:
            raise self.error
        return make_segmentation(radiograph)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where results go."""
    path = tmp_path / "results"
    path.mkdir()
    return path


def image(path: Path, *, rows: int = 80) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.arange(rows * 70).astype(np.uint8).reshape(rows, 70)).save(path)
    return path


def run(paths: Sequence[Path], folder: Path, *formats: str, error: BaseException | None = None) -> list[Outcome]:
    segmenter: Any = Phantom(error)
    return list(segment_files(segmenter, paths, folder, formats or ("json",)))


def test_outcomes_are_in_order_and_name_what_was_written(tmp_path: Path, folder: Path) -> None:
    paths = [image(tmp_path / "b.png"), image(tmp_path / "a.png")]
    assert run(paths, folder, "json", "mask") == [
        Outcome(paths[0], (folder / "b.json", folder / "b.mask.png"), verdict="review"),
        Outcome(paths[1], (folder / "a.json", folder / "a.mask.png"), verdict="review"),
    ]
    assert len(list(folder.iterdir())) == 4


def test_same_name_in_two_folders_gives_two_results(tmp_path: Path, folder: Path) -> None:
    run([image(tmp_path / "x" / "1.png"), image(tmp_path / "y" / "1.png")], folder)
    assert sorted(path.name for path in folder.iterdir()) == ["x_1.png.json", "y_1.png.json"]


def test_an_image_file_is_left_without_dicom_outputs(tmp_path: Path, folder: Path) -> None:
    (outcome,) = run([image(tmp_path / "a.png")], folder, "seg", "json", "sr")
    assert outcome == Outcome(
        tmp_path / "a.png", (folder / "a.json",), ("seg", "sr"), "no DICOM image", verdict="review"
    )


def test_a_dicom_image_without_uids_gives_all_but_dicom_outputs(tmp_path: Path, folder: Path) -> None:
    dataset = make_dx()
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        delattr(dataset, keyword)
    paths = [save(dataset, tmp_path / f"{name}.dcm") for name in "ab"]  # they are not taken for one image
    outcomes = run(paths, folder, "json", "mask", "seg", "sr")
    why = "no valid UID of study, series or image"
    for outcome, path in zip(outcomes, paths, strict=True):
        written = (folder / f"{path.stem}.json", folder / f"{path.stem}.mask.png")
        assert outcome == Outcome(path, written, ("seg", "sr"), why, verdict="review")
        record = json.loads(written[0].read_text())
        assert record["image"]["sop_instance_uid"] is None
        assert "uid_missing" in record["image"]["notes"]
    (refused,) = run(paths[:1], folder, "seg", "sr")
    assert (refused.code, why in refused.message) == ("needs_dicom", True)


def test_an_image_file_for_dicom_outputs_alone_is_a_failure(tmp_path: Path, folder: Path) -> None:
    (outcome,) = run([image(tmp_path / "a.png")], folder, "seg", "sr")
    assert (outcome.code, outcome.written, outcome.left_out, outcome.verdict) == ("needs_dicom", (), (), None)
    assert "json or png instead" in outcome.message


def test_a_dicom_image_gets_its_segmentation(tmp_path: Path, folder: Path) -> None:
    path = save(make_dx(rows=80, columns=64), tmp_path / "a.dcm")
    assert run([path], folder, "seg") == [Outcome(path, (folder / "a.seg.dcm",), verdict="review")]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("Invalid value for VR PN: 'Doe^John'\nmore"), "(ValueError)"),
        (RuntimeError("CUDA out of memory.\nTried to"), "(RuntimeError)"),
        (MemoryError(), "(MemoryError)"),
    ],
)
def test_a_failure_is_told_in_one_line_and_stops_nothing(
    tmp_path: Path, folder: Path, error: Exception, message: str
) -> None:
    paths = [image(tmp_path / "bad.png", rows=65), tmp_path / "absent.png", image(tmp_path / "good.png")]
    failed, absent, done = run(paths, folder, error=error)
    assert (failed.code, failed.written) == ("failed", ())
    assert message in failed.message
    assert "Doe" not in failed.message  # the text of a foreign error may quote the header
    assert absent.code == "not_found"
    assert done.code is None
    assert [path.name for path in folder.iterdir()] == ["good.json"]


def test_unwritable_output_is_a_failure_of_the_file(tmp_path: Path) -> None:
    (outcome,) = run([image(tmp_path / "a.png")], tmp_path / "absent")
    assert outcome.code == "not_written"
    assert "(No such file or directory)" in outcome.message


def test_an_interruption_is_none_of_the_files_failures(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run([image(tmp_path / "bad.png", rows=65)], folder, error=KeyboardInterrupt())


def test_results_of_a_file_are_all_written_or_none(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(FORMATS, "csv", Format(".landmarks.csv", refuse))
    (outcome,) = run([image(tmp_path / "a.png")], folder, "json", "csv")
    assert (outcome.code, outcome.written, outcome.verdict) == ("not_written", (), None)
    assert "(the disk is full: No space left on device)" in outcome.message
    assert list(folder.iterdir()) == []


def test_a_result_may_not_replace_an_input(tmp_path: Path) -> None:
    inputs = [tmp_path / "a.dcm", tmp_path / "a.seg.dcm"]
    check_targets(inputs, tmp_path / "out", ["json", "seg"])
    check_targets(inputs, tmp_path, ["json"])
    with pytest.raises(ValueError, match=r"a\.seg\.dcm: this input would be replaced"):
        check_targets(inputs, tmp_path, ["seg"])


def test_a_copy_of_an_image_is_done_once(tmp_path: Path, folder: Path) -> None:
    image = make_dx(rows=80, columns=70)
    paths = [save(image, tmp_path / name) for name in ("radiograph.dcm", "copy of radiograph.dcm")]
    first, second = run(paths, folder, "json", "seg", "sr")
    assert (first.code, second.code, second.written) == (None, "duplicate", ())
    assert {path.name for path in folder.iterdir()} == {"radiograph.json", "radiograph.seg.dcm", "radiograph.sr.dcm"}


def test_images_of_two_patients_with_one_identifier_are_never_mixed(tmp_path: Path, folder: Path) -> None:
    first, second = make_dx(rows=80, columns=70), make_dx(rows=80, columns=70, seed=1)
    second.PatientID, second.PatientName = "SYN-0002", "Other^Person"
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = first.SOPInstanceUID
    paths = [save(first, tmp_path / "1.dcm"), save(second, tmp_path / "2.dcm")]
    outcomes = run(paths, folder, "json", "seg", "sr")
    assert [outcome.code for outcome in outcomes] == ["conflicting_identifiers"] * 2
    assert "find out which is right" in outcomes[1].message
    assert list(folder.iterdir()) == []


def test_images_have_no_identity(tmp_path: Path, folder: Path) -> None:
    outcomes = run([image(tmp_path / "1.png"), image(tmp_path / "2.png")], folder)
    assert [outcome.code for outcome in outcomes] == [None, None]


def test_a_folder_is_segmented_by_paths_as_text(tmp_path: Path, tiny_model: Model) -> None:
    image(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_bytes(b"no image")
    output = tmp_path / "out"
    done, failed = segment_folder(
        str(tmp_path / "in"), str(output), formats="csv,json", model=tiny_model, num_samples=2, device="cpu"
    )
    assert done.written == (output / "a.json", output / "a.landmarks.csv")
    assert failed.path == tmp_path / "in" / "b.png"
    assert failed.code is not None
    assert sorted(path.name for path in output.iterdir() if not path.name.startswith(".")) == [
        "a.json",
        "a.landmarks.csv",
    ]


def test_a_folder_without_images_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no image found"):
        segment_folder(tmp_path, tmp_path / "out")
