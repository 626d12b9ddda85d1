from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.samples.segmentations import make_radiograph, make_segmentation

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.writers.images import color_table, write_color_table, write_mask


def test_image_has_the_size_of_the_image_and_its_labels(tmp_path: Path) -> None:
    radiograph = make_radiograph()
    result = make_segmentation(radiograph)
    write_mask(result, radiograph, tmp_path / "chest.mask.png")
    with Image.open(tmp_path / "chest.mask.png") as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", (200, 250))
        labels = np.asarray(image)
    np.testing.assert_array_equal(labels, result.label_mask())
    assert np.unique(labels).tolist() == [0, 1, 2, 3]


def test_landmarks_outside_the_image_do_no_harm(tmp_path: Path) -> None:
    radiograph = make_radiograph()
    result = make_segmentation(radiograph)
    moved = make_segmentation(radiograph, landmarks=result.landmarks + np.array([100, -60]))
    write_mask(moved, radiograph, tmp_path / "chest.mask.png")
    labels = np.asarray(Image.open(tmp_path / "chest.mask.png"))
    np.testing.assert_array_equal(labels[:190, 100:], result.label_mask()[60:, :100])
    assert not labels[:, :100][190:].any()


def test_labels_names_and_colors_stand_in_the_table() -> None:
    rows = [line.split() for line in color_table().splitlines() if not line.startswith("#")]
    assert rows[0] == ["0", "Background", "0", "0", "0", "0"]
    assert rows[1:] == [
        [str(organ.label), organ.title.replace(" ", "_"), *map(str, organ.color), "255"] for organ in ORGANS
    ]


def test_slicer_reads_the_same_names_and_colors(tmp_path: Path) -> None:
    slicer = pytest.importorskip("slicer")
    path = tmp_path / "chest.ctbl"
    radiograph = make_radiograph()
    write_color_table(make_segmentation(radiograph), radiograph, path)
    scene = slicer.vtkMRMLScene()
    table = scene.AddNewNodeByClass("vtkMRMLColorTableNode")
    storage = slicer.vtkMRMLColorTableStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(path))
    assert storage.ReadData(table) == 1
    assert table.GetNumberOfColors() == 1 + len(ORGANS)
    for organ in ORGANS:
        *color, opacity = table.GetLookupTable().GetTableValue(organ.label)
        assert table.GetColorName(organ.label) == organ.title
        assert [round(255 * part, 6) for part in color] == list(organ.color)
        assert opacity == 1
    assert table.GetLookupTable().GetTableValue(0)[3] == 0
