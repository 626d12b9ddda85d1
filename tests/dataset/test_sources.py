from __future__ import annotations

from pathlib import Path

import pytest
from support.samples.collections import LAYOUTS, Layout, write_csv

from monai_chexmask_u.dataset.building.listing import list_radiographs
from monai_chexmask_u.dataset.building.radiograph_tables import FOLDERS_ABOVE
from monai_chexmask_u.dataset.sources import SOURCES, source_called, source_of_column

every_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.source)
with_table = pytest.mark.parametrize(
    "layout", [layout for layout in LAYOUTS if layout.table], ids=lambda layout: layout.source
)


def test_every_source_has_a_layout() -> None:
    assert [layout.source for layout in LAYOUTS] == [source.name for source in SOURCES]


@every_layout
def test_radiographs_of_a_source_have_its_ids_and_views(layout: Layout, tmp_path: Path) -> None:
    layout.make(tmp_path / "images")
    listing = list_radiographs(tmp_path / "images", source=source_called(layout.source))
    assert {item.image_id: item.view for item in listing.radiographs} == layout.views
    assert (listing.left_out, listing.notes) == (layout.left_out, ())
    for item in listing.radiographs:
        assert item.read().path == Path(item.image_path)


@with_table
def test_without_a_view_table_all_radiographs_are_taken_and_this_is_said(layout: Layout, tmp_path: Path) -> None:
    layout.make(tmp_path)
    for table in tmp_path.rglob("*.csv*"):
        table.unlink()
    listing = list_radiographs(tmp_path, source=source_called(layout.source))
    by_table = sum(count for reason, count in layout.left_out.items() if "view table" in reason)
    assert len(listing.radiographs) == len(layout.views) + by_table
    assert {item.view for item in listing.radiographs} == {None}
    assert listing.notes == ("view table not found",)


@with_table
def test_a_table_of_the_same_name_without_its_columns_is_none(layout: Layout, tmp_path: Path) -> None:
    layout.make(tmp_path)
    for table in tmp_path.rglob("*.csv*"):
        write_csv(table, [["other", "columns"], ["1", "2"]])
    assert list_radiographs(tmp_path, source=source_called(layout.source)).notes == ("view table not found",)


def test_the_view_table_may_lie_above_a_part_of_the_images(tmp_path: Path) -> None:
    layout = LAYOUTS[2]
    layout.make(tmp_path)
    study = tmp_path / "files" / "p10" / "p10000032" / "s50414267"
    listing = list_radiographs(study, source=source_called("mimic-cxr-jpg"))
    assert {item.image_id: item.view for item in listing.radiographs} == layout.views


def test_a_view_table_too_far_above_is_another_data_sets(tmp_path: Path) -> None:
    LAYOUTS[2].make(tmp_path)
    study = tmp_path / "files" / "p10" / "p10000032" / "s50414267"
    deeper = study.joinpath(*["deeper"] * (FOLDERS_ABOVE - 4))
    deeper.mkdir(parents=True)
    assert list_radiographs(deeper, source=source_called("mimic-cxr-jpg")).notes == ("view table not found",)


def test_a_list_of_files_finds_the_view_table_beside_it(tmp_path: Path) -> None:
    layout = LAYOUTS[2]
    layout.make(tmp_path)
    paths = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jpg"))
    (tmp_path / "radiographs.txt").write_text("\n".join(paths))
    listing = list_radiographs(tmp_path / "radiographs.txt", source=source_called("mimic-cxr-jpg"))
    assert {item.image_id: item.view for item in listing.radiographs} == layout.views


def test_a_column_of_ids_goes_before_the_rule_of_a_source(tmp_path: Path) -> None:
    LAYOUTS[2].make(tmp_path)
    (path,) = tmp_path.rglob("00000000-*.jpg")
    table = write_csv(tmp_path / "radiographs.csv", [["path", "name"], [str(path), "mine"]])
    listing = list_radiographs(table, source=source_called("mimic-cxr-jpg"), id_column="name")
    assert [(item.image_id, item.view) for item in listing.radiographs] == [("mine", "PA")]


def test_a_part_of_chexpert_has_the_ids_of_the_whole(tmp_path: Path) -> None:
    LAYOUTS[1].make(tmp_path)
    part = tmp_path / "CheXpert-v1.0" / "train" / "patient00001"
    (item,) = list_radiographs(part, source=source_called("chexpert")).radiographs
    assert (item.image_id, item.image_path) == (
        "train/patient00001/study1/view1_frontal.jpg",
        "study1/view1_frontal.jpg",
    )


def test_a_radiograph_that_lies_there_twice_is_refused(tmp_path: Path) -> None:
    LAYOUTS[0].make(tmp_path)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "00000001_000.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"00000001_000\.png.*copy/.* and images_001/images/"):
        list_radiographs(tmp_path, source=source_called("chestx-ray8"))


VIEW1 = "patient1/study1/view1_frontal.jpg"
MIMIC = "02aa804e-bde0afdd-112c0b34-7bc16630-4e384014"


@pytest.mark.parametrize(
    ("source", "path", "image_id"),
    [
        ("chestx-ray8", "images/00000001_000.png", "00000001_000.png"),
        ("chestx-ray8", "images/x00000001_000.png", None),
        ("chexpert", f"CheXpert-v1.0-small/valid/{VIEW1}", f"valid/{VIEW1}"),
        ("chexpert", f"CheXpert-v1.0 batch 2 (train 1)/{VIEW1}", f"train/{VIEW1}"),
        ("chexpert", f"CheXpert-v1.0 batch 2 (train 1).zip/{VIEW1}", f"train/{VIEW1}"),
        ("chexpert", "train/patient1/study1/view2_frontal.jpg", None),
        ("chexpert", "train/patient1/study1/view1_lateral.jpg", None),
        ("chexpert", f"mytrain/{VIEW1}", None),
        ("mimic-cxr-jpg", f"p10/p10000032/s50414267/{MIMIC}.jpg", MIMIC),
        ("mimic-cxr-jpg", "p10/p10000032/s50414267/index.jpg", None),
        ("padchest", "images/20536686640136348_k6ga29.png", "20536686640136348_k6ga29.png"),
        ("padchest", "images/logo.png", None),
        ("vindr-cxr", "train/50a418190bc3fb1ef1633bf9678929b3.dicom", "50a418190bc3fb1ef1633bf9678929b3"),
        ("vindr-cxr", "train/50a418190bc3fb1ef1633bf9678929b3.png", None),
    ],
)
def test_the_path_tells_the_id(source: str, path: str, image_id: str | None) -> None:
    assert source_called(source).id_of(path) == image_id


def test_sources_are_called_by_name_or_title_and_known_by_their_column() -> None:
    for source in SOURCES:
        assert source_called(source.title) is source_called(source.name.upper()) is source
        assert source_of_column(source.id_column) is source
    assert source_of_column("other") is None
    with pytest.raises(ValueError, match="known are chestx-ray8, chexpert"):
        source_called("jsrt")


def test_ids_differ_between_tables_in_their_suffix_alone() -> None:
    assert source_called("chexpert").bare("train/p/s/view1_frontal.jpg") == "train/p/s/view1_frontal"
    assert source_called("vindr-cxr").bare("50a4") == "50a4"
