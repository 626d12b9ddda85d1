"""Names of output files: all that a run will write differ, on any disk that they may be copied to."""

from __future__ import annotations

import hashlib
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from monai_chexmask_u.files.kinds import SUFFIXES, Kind
from monai_chexmask_u.files.result_suffixes import RESULT_SUFFIXES

__all__ = ["OutputNames", "folded", "output_names", "safe_name"]

_DROPPED: Final = frozenset(suffix for suffix, kind in SUFFIXES.items() if kind is not Kind.JSRT)
# With suffix and number a name stays below the 255 bytes that file systems take.
_MOST_BYTES: Final = 200
_MOST_FOLDERS: Final = 8
# What no file on a Windows share may have in its name.
_FORBIDDEN: Final = frozenset('<>:"/\\|?*')
_RESERVED: Final = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10))]
)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_. -]*")
# Of a.mrk and .json nobody could tell whether they are a and .mrk.json: a name never ends like this.
_AMBIGUOUS: Final = tuple(
    {
        long.removesuffix(short)
        for long, short in itertools.permutations(RESULT_SUFFIXES.values(), 2)
        if long.endswith(short)
    }
)


def output_names(paths: Sequence[Path]) -> list[str]:
    """Return a name per input from which its outputs are named: no two outputs are alike, whatever their formats.

    It is the file's name without a suffix of images; where that is not unique the suffix stays, and where that is not
    either, up to eight folders are put in front, or else a checksum of the path. Only a file that is given twice, or
    that differs from another one by no more than what `safe_name` replaces, gets a number, by its place in the list.
    Names that differ in case or in the composition of accents alone are taken for one: file shares do.

    Example:
        >>> output_names([Path("a/1.dcm"), Path("a/1.png"), Path("b/2.png")])
        ['1.dcm', '1.png', '2']
    """
    names = [safe_name(_stem(path)) for path in paths]
    for depth in range(1, _MOST_FOLDERS + 2):
        repeated = _repeated(names)
        if not repeated:
            return names
        for index in repeated:
            names[index] = safe_name("_".join(paths[index].parts[-depth:]).replace("/", ""))
    for index in _repeated(names):
        path = str(paths[index])
        if len(paths[index].parts) > _MOST_FOLDERS + 1 or not _is_short(path):
            names[index] = safe_name(f"{paths[index].name[:100]}-{_checksum(path)}")
    return _numbered(names)


def safe_name(name: str) -> str:
    """Return a name for files in any folder and on any disk, not hidden; an ordinary name stays as it is.

    Control characters, what is no text, and what Windows does not allow become ``_``; accents are composed (NFC); a
    name that is too long is cut, and gets a checksum.

    Example:
        >>> safe_name("../x"), safe_name("con"), safe_name("radiograph 1.2")
        ('_._x', 'con_', 'radiograph 1.2')
    """
    if not _PLAIN.fullmatch(name):
        composed = unicodedata.normalize("NFC", name)
        name = "".join(each if each.isprintable() and each not in _FORBIDDEN else "_" for each in composed)
        name = f"_{name[1:]}" if name[:1] in ("", ".") or name.isspace() else name
    first, dot, rest = name.partition(".")
    if folded(first.strip()).upper() in _RESERVED:
        name = f"{first.rstrip()}_{dot}{rest}"
    if not _is_short(name):
        name = f"{name.encode()[: _MOST_BYTES - 10].decode(errors='ignore')}-{_checksum(name)}"
    return f"{name}_" if folded(name).endswith(_AMBIGUOUS) else name


def folded(name: str) -> str:
    """Return what is equal for two names that some file share takes for one."""
    if name.isascii():
        return name.lower()
    folding = unicodedata.normalize("NFKC", name)
    for _ in range(2):  # folding may decompose, and composing may give capitals
        folding = unicodedata.normalize("NFKC", folding.upper().casefold())
    return folding


class OutputNames:
    """Gives names one by one, where not all inputs are known before: each differs from those before it."""

    def __init__(self) -> None:
        """Start empty."""
        self._taken: dict[str, Path] = {}

    def name_of(self, path: Path, wanted: str = "") -> str:
        """Return the name of an input, the same one if it comes again.

        Args:
            path: the input.
            wanted: a name to take instead of the file's.
        """
        plain = safe_name(wanted or _stem(path))
        for name in _candidates(plain):
            if self._taken.setdefault(folded(name), path) == path:
                return name
        raise AssertionError("there is no last number")


def _stem(path: Path) -> str:
    return path.stem if path.suffix.lower() in _DROPPED else path.name


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]


def _is_short(name: str) -> bool:
    return len(name.encode(errors="surrogatepass")) <= _MOST_BYTES


def _repeated(names: Sequence[str]) -> list[int]:
    """Return the places of names that are not unique."""
    keys = [folded(name) for name in names]
    counts = Counter(keys)
    return [index for index, key in enumerate(keys) if counts[key] > 1]


def _candidates(name: str) -> Iterable[str]:
    yield name
    for number in itertools.count(2):
        yield safe_name(f"{name}-{number}")


def _numbered(names: list[str]) -> list[str]:
    """Put a number to every name that repeats one before it, and that no other has."""
    taken, given = {folded(name) for name in names}, set()
    candidates: dict[str, Iterable[str]] = {}
    for index, name in enumerate(names):
        key = folded(name)
        if key in given:
            series = candidates.setdefault(key, iter(_candidates(name)))
            names[index] = next(each for each in series if folded(each) not in taken)
            taken.add(folded(names[index]))
        given.add(key)
    return names
