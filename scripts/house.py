"""Measure how the code is laid out: what imports what, against the order in ``docs/architecture.md``.

    python scripts/house.py [CHECKOUT]

That document lists files and folders, one line each, under "The house". A module may import from the lines above its
own. `tests/test_house.py` holds the figures to their limits.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["House", "measure"]

LIBRARY: Final = "monai_chexmask_u"
DOORS: Final = ("app", "label")
SMALL: Final = 40  # lines of code
ENTRY: Final = re.compile(r"[\w./]*(?:\.py|/)")


@dataclass(frozen=True)
class House:
    """The figures of a checkout.

    Attributes:
        loose: modules of the library that are in no folder.
        sizes: Python files of each folder, itself without its subfolders.
        small: modules of the library with fewer than 40 lines of code.
        circles: modules that import each other, directly or through others.
        against: imports from a line of the document below the importer's own, as (importer, imported).
        unlisted: modules that no line of the document names.
    """

    loose: tuple[str, ...]
    sizes: Mapping[str, int]
    small: tuple[str, ...]
    circles: tuple[tuple[str, ...], ...]
    against: tuple[tuple[str, str], ...]
    unlisted: tuple[str, ...]


def measure(checkout: Path) -> House:
    """Measure a checkout.

    Raises:
        ValueError: if its ``docs/architecture.md`` has no such list.
    """
    modules = {name: path for folder in (LIBRARY, *DOORS) for name, path in _modules(checkout, folder)}
    edges = {name: _imported(name, path, modules) for name, path in modules.items()}
    ranks = _ranks(checkout / "docs" / "architecture.md")
    places = {name: _place(path.relative_to(checkout).as_posix(), ranks) for name, path in modules.items()}
    library = [(name, path) for name, path in modules.items() if name.partition(".")[0] == LIBRARY]
    sizes: dict[str, int] = {}
    for path in modules.values():
        folder = path.parent.relative_to(checkout).as_posix()
        sizes[folder] = sizes.get(folder, 0) + 1
    return House(
        loose=tuple(path.name for _, path in library if path.parent == checkout / LIBRARY),
        sizes=sizes,
        small=tuple(name for name, path in library if path.name != "__init__.py" and _code_lines(path) < SMALL),
        circles=tuple(_circles(edges)),
        against=tuple(
            (name, other)
            for name, others in edges.items()
            for other in sorted(others)
            if (mine := places[name]) is not None and (its := places[other]) is not None and mine < its
        ),
        unlisted=tuple(name for name, place in places.items() if place is None),
    )


def _modules(checkout: Path, folder: str) -> Iterator[tuple[str, Path]]:
    """Yield names and files; stand-ins for packages and the module that runs inside 3D Slicer are no part of it."""
    for path in sorted((checkout / folder).rglob("*.py")):
        parts = path.relative_to(checkout).with_suffix("").parts
        if parts[:2] not in ((folder, "slicer"), (folder, "stubs"), (folder, "bundle")):
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _imported(name: str, path: Path, modules: Mapping[str, Path]) -> set[str]:
    """Return the modules of the house that a module imports, wherever in it; for types alone counts too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (whole & modules.keys()) or {node.module}
    return (found & modules.keys()) - {name}


def _code_lines(path: Path) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in lines)


def _ranks(document: Path) -> dict[str, int]:
    """Return the line of each file and folder that the list names."""
    lists = re.search(r"## The house.*?```\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    if lists is None:
        raise ValueError(f'{document}: no list under "The house"')
    ranks: dict[str, int] = {}
    for number, line in enumerate(lists[1].splitlines()):
        parent = f"{LIBRARY}/" if line.startswith("  ") else ""
        for word in line.split():
            entry = word.rstrip(",")
            if not ENTRY.fullmatch(entry):
                break
            ranks[parent + entry] = number
    return ranks


def _place(path: str, ranks: Mapping[str, int]) -> int | None:
    """Return the line of the longest entry that names a file; what the library itself is listed as names none."""
    fitting = [entry for entry in ranks if entry != f"{LIBRARY}/" and (path == entry or path.startswith(entry))]
    return ranks[max(fitting, key=len)] if fitting else None


def _circles(edges: Mapping[str, set[str]]) -> Iterator[tuple[str, ...]]:
    """Yield sets of modules each of which reaches every other one of its set."""
    reached = {name: _reachable(name, edges) for name in edges}
    seen: set[str] = set()
    for name in edges:
        circle = {other for other in reached[name] if name in reached[other]}
        if circle and name not in seen:
            seen |= circle
            yield tuple(sorted(circle))


def _reachable(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = edges[waiting.pop()] - found
        found |= new
        waiting.extend(new)
    return found


def main() -> None:
    """Print the figures."""
    checkout = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    house = measure(checkout)
    largest = sorted(house.sizes.items(), key=lambda item: -item[1])[:3]
    print(f"loose modules of the library: {len(house.loose)}")
    print("largest folders: " + ", ".join(f"{folder} {count}" for folder, count in largest))
    print(f"library modules under {SMALL} lines of code: {len(house.small)}")
    print(f"circles: {len(house.circles)}")
    print(*(f"  {', '.join(circle)}" for circle in house.circles), sep="\n")
    print(f"imports against the order: {len(house.against)}")
    print(*(f"  {name} <- {other}" for name, other in house.against), sep="\n")
    print(f"modules that the order does not name: {len(house.unlisted)}")
    print(*(f"  {name}" for name in house.unlisted), sep="\n")


if __name__ == "__main__":
    main()
