"""All cases of DICOM inputs, for tests and benchmarks, and the table of them in the documentation.

`PYTHONPATH=tests python tests/support/cases/all_cases.py docs/dicom_input.md` brings that table up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from support.cases.case import Case
from support.cases.characters import CHARACTERS
from support.cases.compressed import COMPRESSED
from support.cases.content import CONTENT
from support.cases.files import FILES
from support.cases.geometry import GEOMETRY
from support.cases.gray import GRAY
from support.cases.identity import IDENTITY
from support.cases.met import MET
from support.cases.real import REAL
from support.cases.tables import TABLES

__all__ = ["CASES", "Case", "updated"]

CASES: Final[tuple[Case, ...]] = (
    *CONTENT,
    *GRAY,
    *TABLES,
    *GEOMETRY,
    *COMPRESSED,
    *IDENTITY,
    *CHARACTERS,
    *FILES,
    *REAL,
    *MET,
)
START: Final = "<!-- cases -->\n"
HEAD: Final = "| Input | Outcome | Notes or reason | Decision |\n| --- | --- | --- | --- |\n"
# Every synthetic image has it; where it is not the subject, it says nothing.
USUAL: Final = "spacing_from_imager"


def updated(page: str) -> str:
    """Return a page of documentation with its table of cases, the last thing in it, made anew."""
    before, _, _ = page.partition(START)
    tables = []
    for theme in dict.fromkeys(case.theme for case in CASES):
        rows = "".join(_row(case) for case in CASES if case.theme == theme)
        tables.append(f"### {theme}\n\n{HEAD}{rows}")
    return before + START + "\n" + "\n".join(tables)


def _row(case: Case) -> str:
    shown = sorted(note for note in case.notes if note != USUAL or case.theme == "Spacing")
    reasons = ", ".join(f"`{word}`" for word in ([case.code] if case.code else shown))
    outcome = "refused" if case.code else "done"
    return f"| {case.description} | {outcome} | {reasons} | {case.decision} |\n".replace("\\", "\\\\")


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(updated(path.read_text(encoding="utf-8")), encoding="utf-8")
