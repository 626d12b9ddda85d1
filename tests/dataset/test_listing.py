from __future__ import annotations

import gzip
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from film_collections import dicom_film, jpeg_film, png_film, write_csv, write_files, write_tar, write_zip
from hypothesis import given
from hypothesis import strategies as st

from monai_chexmask_u.dataset.films import read_film
from monai_chexmask_u.dataset.listing import Listing, list_films
from monai_chexmask_u.radiograph import RadiographError

FILES = {"b.png": png_film(1), "a/c.jpg": jpeg_film(2), "a/d.dcm": dicom_film(3)}
NAMES = ["a/c.jpg", "a/d.dcm", "b.png"]


def ids(listing: Listing) -> list[str]:
    return [film.image_id for film in listing.films]


def paths(listing: Listing) -> list[str]:
    return [film.image_path for film in listing.films]


@pytest.fixture
def films(tmp_path: Path) -> Path:
    return write_files(tmp_path / "films", FILES)


def test_a_folder_gives_the_paths_below_it(films: Path) -> None:
    listing = list_films(films)
    assert ids(listing) == paths(listing) == NAMES
    assert [film.file for film in listing.films] == [films / name for name in NAMES]
    assert (listing.left_out, listing.notes) == ({}, ())


def test_a_single_film_is_a_collection(films: Path) -> None:
    assert ids(list_films(films / "b.png")) == ["b.png"]
    (films / "1.2.3").write_bytes(dicom_film())
    assert ids(list_films(films / "1.2.3")) == ["1.2.3"]


@pytest.mark.parametrize("write", [write_zip, write_tar])
@pytest.mark.parametrize("suffix", ["", ".zip", ".tar", ".ZIP"])
def test_an_archive_is_known_by_its_content(write: Any, suffix: str, tmp_path: Path) -> None:
    archive = write(tmp_path / f"films{suffix}", FILES)
    assert ids(list_films(archive)) == [f"{archive.name}/{name}" for name in NAMES]


def test_a_folder_of_shards_gives_the_films_in_them(tmp_path: Path) -> None:
    write_zip(tmp_path / "0.zip", {"x.png": png_film()})
    (tmp_path / "shards").mkdir()
    write_tar(tmp_path / "shards" / "1.tar", {"x.png": png_film(), "x.json": b"{}"})
    (tmp_path / "2.tar.gz").write_bytes(gzip.compress(b""))
    (tmp_path / "3.zip").write_bytes(b"PK\3\4")
    listing = list_films(tmp_path)
    assert ids(listing) == ["0.zip/x.png", "shards/1.tar/x.png"]
    assert listing.left_out == {
        "archive that ends early or is broken": 1,
        "compressed tar archive: decompress it to .tar first": 1,
        "not an image": 1,
    }


def test_a_compressed_tar_archive_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "films.tar.gz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"decompress it to \.tar"):
        list_films(tmp_path / "films.tar.gz")


@pytest.mark.parametrize("name", ["films.zip", "films.tar"])
def test_a_broken_archive_is_refused_if_nothing_in_it_can_be_read(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\3\4 and no more")
    with pytest.raises(RadiographError, match="broken") as refused:
        list_films(tmp_path / name)
    assert refused.value.code == "not_readable"


def test_what_is_no_film_is_left_out_and_counted(films: Path) -> None:
    others = {"labels.csv": b"a", "a/b.overlay.png": png_film(), "report": b"text", "DICOMDIR": dicom_film()}
    hidden = {".b.png": png_film(), ".git/b.png": png_film(), "__MACOSX/b.png": png_film()}
    outbox = {"out/target.json": b"{}", "out/refused/x": b"", "out/b.dcm": dicom_film()}
    write_files(films, {**others, **hidden, **outbox})
    listing = list_films(films)
    assert ids(listing) == NAMES
    assert listing.left_out == {"not an image": len(others)}


def test_no_file_is_opened_whose_name_tells(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    original = Path.open

    def watched(path: Path, *arguments: Any, **options: Any) -> Any:
        opened.append(path.name)
        return original(path, *arguments, **options)

    write_files(films, {"a.mask.png": b"", "unknown": b"text"})
    monkeypatch.setattr(Path, "open", watched)
    list_films(films)
    assert opened == ["unknown"]


@given(seed=st.integers(0, 999))
def test_the_order_of_the_disk_does_not_matter(seed: int) -> None:
    shuffle = random.Random(seed).shuffle
    original = os.scandir

    @contextmanager
    def shuffled(folder: Path) -> Iterator[Any]:
        with original(folder) as entries:
            mixed = list(entries)
        shuffle(mixed)
        yield mixed

    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = write_files(Path(name), {f"{part}/{n}.png": b"" for part in "abc" for n in range(4)})
        for link, target in (("a/link", "b"), ("linked", "c"), ("b/loop", "."), ("d", "a")):
            (folder / link).symlink_to(folder / target)
        expected = list_films(folder)
        patch.setattr(os, "scandir", shuffled)
        assert list_films(folder) == expected
    assert ids(expected) == [f"{part}/{n}.png" for part in "abc" for n in range(4)]


def test_links_that_run_in_circles_end(films: Path) -> None:
    (films / "a" / "back").symlink_to(films)
    (films / "self.png").symlink_to(films / "self.png")
    (films / "gone.png").symlink_to(films / "nowhere.png")
    listing = list_films(films)
    assert ids(listing) == NAMES
    assert listing.left_out == {"link to a missing file": 2}


def test_links_to_other_folders_are_followed_each_folder_once(films: Path, tmp_path: Path) -> None:
    elsewhere = write_files(tmp_path / "elsewhere", {"e/f.png": png_film()})
    (films / "y").symlink_to(elsewhere)
    (films / "x").symlink_to(elsewhere)
    (films / "z.png").symlink_to(elsewhere / "e" / "f.png")
    assert ids(list_films(films)) == [*NAMES, "x/e/f.png", "z.png"]


def test_a_folder_that_may_not_be_listed_is_an_error(films: Path) -> None:
    (films / "a").chmod(0)
    try:
        if os.access(films / "a", os.R_OK):
            pytest.skip("this user may list every folder")
        with pytest.raises(RadiographError, match="permissions") as refused:
            list_films(films)
        assert refused.value.code == "not_readable"
    finally:
        (films / "a").chmod(0o755)


def test_a_folder_that_fails_while_it_is_listed_is_an_error(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.scandir

    def failing(folder: Path) -> Any:
        if folder.name == "a":
            raise PermissionError(13, "Permission denied")
        return original(folder)

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(RadiographError, match=r"films/a cannot be listed; check its permissions"):
        list_films(films)


def test_names_that_no_table_can_hold_are_left_out(films: Path) -> None:
    (films / os.fsdecode(b"caf\xe9.png")).write_bytes(png_film())
    (films / "café.png").write_bytes(png_film())
    listing = list_films(films)
    assert "café.png" in ids(listing)
    assert listing.left_out == {"name that is not UTF-8": 1}


def test_a_list_names_films_relative_to_its_folder(films: Path, tmp_path: Path) -> None:
    outside = write_files(tmp_path / "outside", {"x.png": png_film()}) / "x.png"
    lines = ["# films", "", "a/c.jpg", "  ./b.png ", str(films / "a" / "d.dcm"), str(outside), "../films/no.png"]
    (films / "list.txt").write_text("\r\n".join(lines), encoding="utf-8-sig")
    listing = list_films(films / "list.txt")
    assert ids(listing) == paths(listing) == ["../films/no.png", str(outside), *NAMES]
    assert [read_film(film)[0].path.name for film in listing.films[1:]] == ["x.png", "c.jpg", "d.dcm", "b.png"]


@pytest.mark.parametrize("name", ["list.txt", "list.lst", "list"])
def test_a_missing_file_of_a_list_fails_when_it_is_read(name: str, films: Path) -> None:
    (films / name).write_text("b.png\ngone.png\n")
    listing = list_films(films / name)
    assert ids(listing) == ["b.png", "gone.png"]
    with pytest.raises(RadiographError) as refused:
        read_film(listing.films[1])
    assert refused.value.code == "not_found"


def test_a_list_in_another_encoding_is_refused(films: Path) -> None:
    (films / "list.txt").write_bytes("b.png\ncafé.png".encode("latin-1"))
    with pytest.raises(ValueError, match="UTF-8"):
        list_films(films / "list.txt")


def manifest(path: Path, columns: dict[str, list[Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
        return path
    rows = [["" if value is None else str(value) for value in row] for row in zip(*columns.values(), strict=True)]
    return write_csv(path, [list(columns), *rows])


every_kind = pytest.mark.parametrize("kind", [".csv", ".csv.gz", ".parquet"])


@every_kind
@pytest.mark.parametrize("column", ["path", "Path", "file", "filename", "image", "IMAGE_PATH"])
def test_a_table_names_films(kind: str, column: str, films: Path) -> None:
    listing = list_films(manifest(films / f"table{kind}", {"age": [1, 2, 3], column: NAMES}))
    assert ids(listing) == paths(listing) == NAMES


@every_kind
@pytest.mark.parametrize("column", ["image_id", "ID"])
def test_a_table_may_give_the_ids(kind: str, column: str, films: Path) -> None:
    table = manifest(films / f"table{kind}", {column: [3, 1, 2], "path": NAMES})
    listing = list_films(table)
    assert (ids(listing), paths(listing)) == (["1", "2", "3"], ["a/d.dcm", "b.png", "a/c.jpg"])


@every_kind
def test_options_name_the_columns(kind: str, films: Path) -> None:
    columns = {"path": ["x", "y", "z"], "where": NAMES, "id": ["1", "2", "3"], "who": ["p", "q", "r"]}
    listing = list_films(manifest(films / f"table{kind}", columns), path_column="where", id_column="who")
    assert (ids(listing), paths(listing)) == (["p", "q", "r"], NAMES)


@every_kind
@pytest.mark.parametrize(
    ("options", "columns", "named"),
    [
        ({}, {"age": [1]}, "'path'; its columns are age"),
        ({"path_column": "where"}, {"path": ["b.png"]}, "'where'; its columns are path"),
        ({"id_column": "who"}, {"path": ["b.png"], "id": ["1"]}, "'who'; its columns are path, id"),
    ],
)
def test_a_missing_column_is_named(
    kind: str, options: dict[str, str], columns: dict[str, list[Any]], named: str, films: Path
) -> None:
    with pytest.raises(ValueError, match=named):
        list_films(manifest(films / f"table{kind}", columns), **options)


@every_kind
def test_rows_without_a_path_or_an_id_are_counted(kind: str, films: Path) -> None:
    table = manifest(films / f"table{kind}", {"path": ["b.png", None, "a/c.jpg"], "id": ["1", "2", None]})
    listing = list_films(table)
    assert (ids(listing), listing.left_out) == (["1"], {"row without a path or an id": 2})


def test_a_csv_may_have_line_breaks_in_cells_and_short_rows(films: Path) -> None:
    (films / "table.csv").write_text('report,path\n"two\nlines",b.png\n\nshort\n', encoding="utf-8-sig")
    listing = list_films(films / "table.csv")
    assert (ids(listing), listing.left_out) == (["b.png"], {"row without a path or an id": 1})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("table.csv", b"path\ncaf\xe9.png\n"),
        ("table.csv", b"path\n" + b"x" * 200_000 + b"\n"),
        ("table.csv.gz", b"path\nb.png\n"),
        ("table.csv.gz", gzip.compress(b"path\nb.png\n")[:-5]),
        ("table.parquet", b"PAR1"),
        ("table.parquet", b""),
    ],
)
def test_a_broken_table_is_named(name: str, content: bytes, films: Path) -> None:
    (films / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: no "):
        list_films(films / name)


def test_an_empty_table_has_no_column(films: Path) -> None:
    (films / "table.csv").write_bytes(b"")
    with pytest.raises(ValueError, match="no column 'path'"):
        list_films(films / "table.csv")


@pytest.mark.parametrize("option", ["id_column", "path_column"])
def test_only_tables_have_columns(option: str, films: Path) -> None:
    with pytest.raises(ValueError, match="only tables"):
        list_films(films / "b.png", **{option: "x"})
    with pytest.raises(ValueError, match="only tables"):
        list_films(films, **{option: "x"})


def test_an_id_of_two_films_is_named_with_both_paths(films: Path) -> None:
    table = manifest(films / "table.csv", {"path": NAMES, "id": ["1", "2", "1"]})
    with pytest.raises(ValueError, match=r"the id 1 .* two films, a/c\.jpg and b\.png"):
        list_films(table)


def test_a_film_that_a_list_names_twice_is_refused(films: Path) -> None:
    (films / "list.txt").write_text("b.png\na/c.jpg\n./b.png\n")
    with pytest.raises(ValueError, match=r"the id b\.png .* b\.png and b\.png"):
        list_films(films / "list.txt")


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(RadiographError, match="check its name") as refused:
        list_films(tmp_path / "gone")
    assert refused.value.code == "not_found"


def test_what_holds_no_films_is_refused(tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(b"\x7fELF\0\0")
    with pytest.raises(ValueError, match="no film, list, table or archive"):
        list_films(tmp_path / "program")
    (tmp_path / "empty").mkdir()
    assert list_films(tmp_path / "empty") == Listing((), {})


def test_films_are_found_from_another_folder_too(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(films.parent)
    listing = list_films(Path("films"))
    monkeypatch.chdir("/")
    assert ids(listing) == NAMES
    assert read_film(listing.films[0])[0].shape == (72, 64)
