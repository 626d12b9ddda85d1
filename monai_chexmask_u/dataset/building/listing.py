"""List the radiographs of a collection: folders, archives, lists of files, tables; with the rules of public data sets.

A list or a table may name files that do not exist: they are listed, and fail when they are read, so that a data set
records them.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from monai_chexmask_u.dataset.building.archives import ARCHIVE_BROKEN, COMPRESSED_TAR, is_compressed_tar
from monai_chexmask_u.dataset.building.radiograph_files import RadiographFile
from monai_chexmask_u.dataset.building.radiograph_folders import radiographs_in_archive, radiographs_in_folder
from monai_chexmask_u.dataset.building.radiograph_tables import (
    TABLE_SUFFIXES,
    list_lines,
    manifest_rows,
    read_views,
    tables_above,
)
from monai_chexmask_u.dataset.sources import Source
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import is_candidate, is_candidate_name

__all__ = ["Listing", "list_radiographs"]

NO_NAME: Final = "row without a path or an id"
NAME_NOT_UTF8: Final = "name that is not UTF-8"
NOT_OF_THE_SOURCE: Final = "not a frontal radiograph of the source by its path"
NOT_FRONTAL: Final = "not frontal by the view table"
VIEW_UNKNOWN: Final = "no view in the view table"
NO_VIEW_TABLE: Final = "view table not found"


@dataclass(frozen=True)
class Listing:
    """The radiographs of a collection.

    Attributes:
        radiographs: sorted by their ids.
        left_out: how many files were left out, by reason.
        notes: what a person should know of it, such as ``view table not found``.
    """

    radiographs: tuple[RadiographFile, ...]
    left_out: Mapping[str, int]
    notes: tuple[str, ...] = ()


def list_radiographs(
    images: Path, *, source: Source | None = None, id_column: str | None = None, path_column: str | None = None
) -> Listing:
    """List the radiographs of a collection.

    Without a source, ids are the paths of the table, or the column of ids of a manifest.

    Args:
        images: a folder, also of archives; a radiograph; a zip archive or uncompressed tar archive; a text file with
            one path per line; a CSV (also ``.csv.gz``) or Parquet table with a column of paths and maybe one of ids.
            Paths in a list or table are absolute or relative to its folder.
        source: take only radiographs of this data set, by its rules; ids are its ids.
        id_column: column of ids of a table; by default `ID_COLUMNS`. It goes before the source's rule.
        path_column: column of paths of a table; by default `PATH_COLUMNS`.

    Raises:
        ValueError: if two radiographs have the same id, or a list or table is broken or lacks a column, or `images` is
            nothing to read radiographs from.
        RadiographError: ``not_found`` if there is no such file or folder, ``not_readable`` if it or a folder in it
            cannot be read.
    """
    images = images.absolute()  # radiographs are read in other processes, maybe in other folders
    radiographs: list[RadiographFile] = []
    tables: list[Path] = []
    left_out: Counter[str] = Counter()
    for found in _found(images, source, id_column, path_column):
        if isinstance(found, RadiographFile) and _is_utf8(found):
            radiographs.append(found)
        elif isinstance(found, Path):
            tables.append(found)
        else:
            left_out[NAME_NOT_UTF8 if isinstance(found, RadiographFile) else found] += 1
    if not radiographs and left_out[ARCHIVE_BROKEN] and images.is_file():
        raise RadiographError("not_readable", f"{images}: the archive ends early or is broken; fetch it again")
    notes: tuple[str, ...] = ()
    if source is not None:
        keep_ids = id_column is not None
        radiographs, notes = _of_source(radiographs, source, tables or _tables_near(images, source), keep_ids, left_out)
    radiographs.sort(key=lambda item: item.image_id)
    _check_unique(radiographs)
    return Listing(tuple(radiographs), dict(sorted(left_out.items())), notes)


def _found(
    images: Path, source: Source | None, id_column: str | None, path_column: str | None
) -> Iterator[RadiographFile | Path | str]:
    """Yield radiographs, why others are left out, and view tables."""
    name = images.name.lower()
    is_table = name.endswith(TABLE_SUFFIXES) and not images.is_dir()
    if not is_table and not (id_column is None and path_column is None):
        raise ValueError(f"{images}: only tables ({', '.join(TABLE_SUFFIXES)}) have columns; leave the option away")
    if images.is_dir():
        yield from radiographs_in_folder(images, tables=frozenset(source.view_tables if source else ()))
        return
    if not images.exists():
        raise RadiographError("not_found", f"there is no file or folder {images}; check its name")
    if is_compressed_tar(name):
        raise ValueError(f"{images}: {COMPRESSED_TAR}")
    if is_table:
        yield from _named(images, manifest_rows(images, path_column=path_column, id_column=id_column))
        return
    head = _head(images)
    if head.startswith((b"PK\3\4", b"PK\5\6")) or head[257:262] == b"ustar" or name.endswith((".zip", ".tar")):
        yield from radiographs_in_archive(images, below=images.name)
    elif is_candidate_name(images.name) or is_candidate(images):
        yield RadiographFile(images.name, images.name, images)
    elif b"\0" not in head:
        yield from _named(images, ((line, None) for line in list_lines(images)))
    else:
        raise ValueError(f"{images}: no radiograph, list, table or archive; give one of these or a folder")


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4096)
    except OSError as error:
        raise RadiographError("not_readable", f"{path} cannot be read; check that you may read it") from error


def _named(where: Path, rows: Iterable[tuple[str, str | None]]) -> Iterator[RadiographFile | str]:
    """Yield the radiographs that a list or table names."""
    folder = where.parent
    for name, image_id in rows:
        if not name or image_id == "" or "\0" in name:
            yield NO_NAME
            continue
        file = folder / name
        path = (file.relative_to(folder) if file.is_relative_to(folder) else file).as_posix()
        yield RadiographFile(path if image_id is None else image_id, path, file)


def _is_utf8(item: RadiographFile) -> bool:
    """Return whether a table can hold a radiograph's names; those of files may be any bytes."""
    try:
        return bool(item.image_id.encode() and item.image_path.encode())
    except UnicodeEncodeError:
        return False


def _tables_near(images: Path, source: Source) -> list[Path]:
    return tables_above(images if images.is_dir() else images.parent, source)


def _of_source(
    radiographs: list[RadiographFile], source: Source, tables: list[Path], keep_ids: bool, left_out: Counter[str]
) -> tuple[list[RadiographFile], tuple[str, ...]]:
    """Return the radiographs of a source with its ids and views, and notes; count the others."""
    views = read_views(tables, source)
    taken = []
    for item in radiographs:
        member = f"/{item.member.name}" if item.member else ""
        image_id = source.id_of(f"{item.file.as_posix()}{member}")
        if image_id is None:
            left_out[NOT_OF_THE_SOURCE] += 1
            continue
        view = "" if views is None else views.get(source.bare(image_id), "")
        if views is not None and view not in source.views:
            left_out[NOT_FRONTAL if view else VIEW_UNKNOWN] += 1
            continue
        image_id = item.image_id if keep_ids else image_id
        taken.append(replace(item, image_id=image_id, view=source.views.get(view)))
    notes = (NO_VIEW_TABLE,) if source.view_tables and views is None else ()
    return taken, notes


def _check_unique(radiographs: list[RadiographFile]) -> None:
    """Refuse radiographs of the same id.

    Raises:
        ValueError: if there are any; it names the first such id and both paths.
    """
    for one, other in itertools.pairwise(radiographs):
        if one.image_id == other.image_id:
            paths = " and ".join(sorted((one.image_path, other.image_path)))
            raise ValueError(f"the id {one.image_id} is that of two radiographs, {paths}; give each radiograph once")
