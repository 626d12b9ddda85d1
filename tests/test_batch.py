from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_samples import make_dx, save
from PIL import Image
from segmentation_samples import make_segmentation

from monai_chexmask_u.batch import Outcome, segment_files
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation


class Phantom:
    """Segments everything alike, or fails at images that are one pixel high."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def segment(self, radiograph: Radiograph) -> LandmarkSegmentation:
        if self.error and radiograph.shape[0] == 1:
            raise self.error
        return make_segmentation(radiograph)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where results go."""
    path = tmp_path / "results"
    path.mkdir()
    return path


def picture(path: Path, *, rows: int = 40) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.arange(rows * 30, dtype=np.uint8).reshape(rows, 30)).save(path)
    return path


def run(paths: Sequence[Path], folder: Path, *formats: str, error: BaseException | None = None) -> list[Outcome]:
    segmenter: Any = Phantom(error)
    return list(segment_files(segmenter, paths, folder, formats or ("json",)))


def test_outcomes_are_in_order_and_name_what_was_written(tmp_path: Path, folder: Path) -> None:
    paths = [picture(tmp_path / "b.png"), picture(tmp_path / "a.png")]
    assert run(paths, folder, "json", "mask") == [
        Outcome(paths[0], (folder / "b.json", folder / "b.mask.png")),
        Outcome(paths[1], (folder / "a.json", folder / "a.mask.png")),
    ]
    assert len(list(folder.iterdir())) == 4


def test_same_name_in_two_folders_gives_two_results(tmp_path: Path, folder: Path) -> None:
    run([picture(tmp_path / "x" / "1.png"), picture(tmp_path / "y" / "1.png")], folder)
    assert sorted(path.name for path in folder.iterdir()) == ["x_1.png.json", "y_1.png.json"]


def test_a_picture_is_left_without_dicom_outputs(tmp_path: Path, folder: Path) -> None:
    (outcome,) = run([picture(tmp_path / "a.png")], folder, "seg", "json", "sr")
    assert outcome == Outcome(tmp_path / "a.png", (folder / "a.json",), ("seg", "sr"))


def test_a_picture_for_dicom_outputs_alone_is_a_failure(tmp_path: Path, folder: Path) -> None:
    (outcome,) = run([picture(tmp_path / "a.png")], folder, "seg", "sr")
    assert (outcome.code, outcome.written, outcome.left_out) == ("needs_dicom", (), ())
    assert "json or png instead" in outcome.message


def test_a_dicom_image_gets_its_segmentation(tmp_path: Path, folder: Path) -> None:
    path = save(make_dx(rows=80, columns=64), tmp_path / "a.dcm")
    assert run([path], folder, "seg") == [Outcome(path, (folder / "a.seg.dcm",))]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("landmarks must be finite\nmore"), "the segmentation failed: landmarks must be finite"),
        (RuntimeError("CUDA out of memory.\nTried to"), "the segmentation failed: CUDA out of memory."),
        (MemoryError(), "the segmentation failed: MemoryError"),
    ],
)
def test_a_failure_is_told_in_one_line_and_stops_nothing(
    tmp_path: Path, folder: Path, error: Exception, message: str
) -> None:
    paths = [picture(tmp_path / "bad.png", rows=1), tmp_path / "absent.png", picture(tmp_path / "good.png")]
    failed, absent, done = run(paths, folder, error=error)
    assert (failed.code, failed.message, failed.written) == ("failed", message, ())
    assert absent.code == "not_found"
    assert done.code is None
    assert [path.name for path in folder.iterdir()] == ["good.json"]


def test_unwritable_output_is_a_failure_of_the_file(tmp_path: Path) -> None:
    (outcome,) = run([picture(tmp_path / "a.png")], tmp_path / "absent")
    assert outcome.code == "not_written"
    assert outcome.message.endswith("No such file or directory")


def test_an_interruption_is_none_of_the_files_failures(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run([picture(tmp_path / "bad.png", rows=1)], folder, error=KeyboardInterrupt())
