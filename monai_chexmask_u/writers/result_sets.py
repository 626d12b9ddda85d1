"""The results of one name in a folder: they are of one image and of one run, or they are not there."""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from monai_chexmask_u.files.atomic import prepare_folder
from monai_chexmask_u.files.faults import NotWrittenError
from monai_chexmask_u.files.folder_lock import FolderLockError, folder_lock
from monai_chexmask_u.files.leftovers import PARTIAL, remove_leftovers
from monai_chexmask_u.files.result_suffixes import RESULT_SUFFIXES
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.writers.own_files import is_own_file

__all__ = ["FileIds", "check_replaceable", "clear_results", "file_ids", "new_results", "output_folder"]

FileIds = frozenset[tuple[int, int]]
"""Device and inode of files: what no spelling of a path and no link can hide."""


@contextmanager
def output_folder(folder: Path, *, timeout: float = 0.0) -> Iterator[None]:
    """Hold a folder for the results of one run.

    Args:
        folder: made if it is not there.
        timeout: seconds to wait for another process.

    Raises:
        FolderLockError: if another process writes into it.
        OSError: if it cannot be written to.
    """
    prepare_folder(folder)
    with folder_lock(folder, timeout=timeout):
        remove_leftovers(folder)  # of a process that was killed since
        yield


def file_ids(paths: Iterable[Path]) -> FileIds:
    """Return what files are known by, links and what they lead to; those that are not there are left out."""
    found = set()
    for path in paths:
        with suppress(OSError, ValueError):
            status = path.lstat()
            found.add((status.st_dev, status.st_ino))
            if stat.S_ISLNK(status.st_mode):
                status = path.stat()
                found.add((status.st_dev, status.st_ino))
    return frozenset(found)


@contextmanager
def new_results(folder: Path, name: str, *, inputs: FileIds = frozenset()) -> Iterator[Path]:
    """Hand out a hidden folder for the results of a name; once the block ends, they replace all earlier ones together.

    First the earlier results go, the record in JSON before the others, then the new ones come, the record last: a
    process that is killed in between leaves results of one image alone. After an error there are no new results.

    Args:
        folder: of the results; exists already.
        name: what the results' file names start with.
        inputs: files that are not touched.

    Raises:
        RadiographError: ``not_written`` if a file of somebody else has the name of a result.
        OSError: if the folder cannot be written to.
    """
    with _staging(folder) as staging:
        yield staging
        _move(_staged(staging, name), folder, name, inputs)


def clear_results(folder: Path, name: str, *, inputs: FileIds = frozenset()) -> None:
    """Remove what an earlier run left under a name; files that this program did not write stay.

    Raises:
        OSError: if something cannot be removed.
    """
    for path in _results(folder, name, RESULT_SUFFIXES, inputs):
        if is_own_file(path, _key(path, name)):
            path.unlink(missing_ok=True)


def check_replaceable(folder: Path, name: str, formats: Iterable[str], *, inputs: FileIds = frozenset()) -> None:
    """See that results of a name would replace no file but earlier results.

    Raises:
        RadiographError: ``not_written`` if they would.
    """
    for path in _results(folder, name, formats, frozenset()):
        if _id(path) in inputs:
            raise _occupied(path, "is one of the images")
        if not is_own_file(path, _key(path, name)):
            raise _occupied(path, "was not written by this program")


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """Make a hidden folder that this process holds, so that nobody takes it for a leftover."""
    with ExitStack() as held:
        for tries_left in (2, 1, 0):
            try:
                staging = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=folder))
                held.callback(shutil.rmtree, staging, ignore_errors=True)
                held.enter_context(folder_lock(staging))
                break
            except OSError as error:
                raise NotWrittenError(error, folder) from error
            except FolderLockError:  # another process has removed it just before it was held
                if not tries_left:
                    raise
        yield staging


def _staged(staging: Path, name: str) -> list[Path]:
    """Return what was written, the record last."""
    return sorted(staging.glob("[!.]*"), key=lambda path: (_key(path, name) == "json", path.name))


def _move(staged: Sequence[Path], folder: Path, name: str, inputs: FileIds) -> None:
    check_replaceable(folder, name, [_key(path, name) for path in staged], inputs=inputs)
    moved: list[Path] = []
    try:
        clear_results(folder, name, inputs=inputs)
        for path in staged:
            moved.append(folder / path.name)
            path.replace(moved[-1])
    except BaseException as error:
        for path in moved:
            with suppress(OSError):
                path.unlink()
        if isinstance(error, OSError):
            raise NotWrittenError(error, moved[-1] if moved else folder) from error
        raise


def _results(folder: Path, name: str, formats: Iterable[str], inputs: FileIds) -> list[Path]:
    """Return what lies under the names of results, but for inputs."""
    paths = [folder / f"{name}{RESULT_SUFFIXES[key]}" for key in formats]
    return [path for path in paths if (found := _id(path)) is not None and found not in inputs]


def _id(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def _key(path: Path, name: str) -> str:
    suffix = path.name[len(name) :]
    return next(key for key, each in RESULT_SUFFIXES.items() if each == suffix)


def _occupied(path: Path, what: str) -> RadiographError:
    return RadiographError("not_written", f"{path} {what}: move it away, or choose another folder for the results")
