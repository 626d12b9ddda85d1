"""Every kind of DICOM input through the whole path: `PYTHONPATH=tests python benchmarks/dicom_table.py TABLE.md`.

Each case of the tests' input table is segmented with the shipped model; every DICOM object is written and judged by
independent readers. The table says what became of each case, what was written, and what the judges said. The command
ends with 1 if an outcome is not the expected one, or a judge complains.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pydicom
from support.cases.all_cases import CASES
from support.cases.case import Case
from support.judges import LABEL_MAP_SEGMENTATION, dciodvfy, gray_values, is_available, judges_of, segments
from support.judges.programs import run

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.batch import Outcome, segment_files
from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.model import load_model
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.writers.formats import FORMATS

OBJECTS: Final = [kind for kind, output in FORMATS.items() if output.needs_dicom]


@dataclass
class Row:
    """What became of one case.

    Attributes:
        case: the input.
        outcome: in words.
        notes: that were recorded, or the code of the refusal.
        objects: that were written.
        judgments: how many judgments there are.
        complaints: of judges, and of this script about outcomes that were not expected.
    """

    case: Case
    outcome: str = ""
    notes: str = ""
    objects: list[str] = field(default_factory=list)
    judgments: int = 0
    complaints: list[str] = field(default_factory=list)


def main() -> int:
    """Make the table; return the exit code."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    segmenter = Segmenter(load_model())
    rows = []
    for number, case in enumerate(CASES, start=1):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(row_of(case, segmenter, Path(folder)))
        said = "; ".join(rows[-1].complaints) or "as expected"
        print(f"{number} of {len(CASES)}: {case.name}: {said}", file=sys.stderr)
    Path(sys.argv[1]).write_text("\n".join(page(rows)) + "\n", encoding="utf-8")
    return int(any(row.complaints for row in rows))


def row_of(case: Case, segmenter: Segmenter, folder: Path) -> Row:
    """Run one case."""
    if case.missing:
        return Row(case, f"not run: {case.missing}")
    source, results = folder / "source", folder / "results"
    source.mkdir()
    results.mkdir()
    path = case.make(source)
    (outcome,) = segment_files(segmenter, [path], results, ["json", *OBJECTS])
    row = Row(case)
    if outcome.code is not None:
        row.outcome, row.notes = "refused", f"`{outcome.code}`"
        row.complaints += [f"{path.name} was left after a refusal" for path in results.iterdir()]
        if outcome.code != case.code:
            row.complaints.append(f"expected {case.code or 'a result'}")
        return row
    judge(row, path, outcome, json.loads(outcome.written[0].read_text(encoding="utf-8")))
    return row


def judge(row: Row, path: Path, outcome: Outcome, record: dict[str, dict[str, list[str]]]) -> None:
    """Fill the row of a case that has results."""
    notes = record["image"]["notes"]
    row.outcome = f"done, {outcome.verdict}"
    row.notes = ", ".join(f"`{note}`" for note in notes)
    if row.case.code is not None or not row.case.notes <= set(notes):
        row.complaints.append(f"expected {row.case.code or ', '.join(sorted(row.case.notes))}")
    kinds = [kind for kind in OBJECTS if kind not in outcome.left_out]  # none without UIDs
    files = dict(zip(kinds, outcome.written[1:], strict=True))
    row.objects = list(files)
    for kind, said in judgments(path, files):
        row.judgments += 1
        row.complaints += [f"{kind}: {complaint}" for complaint in said]


def judgments(path: Path, files: dict[str, Path]) -> Iterator[tuple[str, list[str]]]:
    """Yield the kind of an object and the complaints of one judge about it."""
    for kind, file in files.items():
        is_label_map = pydicom.dcmread(file, specific_tags=["SOPClassUID"]).SOPClassUID == LABEL_MAP_SEGMENTATION
        for judge in filter(is_available, judges_of(file)):
            if not (is_label_map and judge is dciodvfy):  # which does not know label maps
                yield kind, judge(file)
    if files and is_available(segments):
        found = segments(files["seg-viewer"])
        masks = pydicom.dcmread(files["seg"]).pixel_array.astype(bool)
        same = all(np.array_equal(found[organ.title], masks[organ.label - 1]) for organ in ORGANS)
        yield "seg-viewer", [] if same else ["dcmqi reads other pixels"]
    if files and is_available(gray_values) and is_shown_by_dcmtk(path, files["pr"]):
        radiograph = read_dicom(path)
        yield "pr", gray_values(files["pr"], path, radiograph.pixels, radiograph.notes)


def is_shown_by_dcmtk(path: Path, state: Path) -> bool:
    """Tell whether DCMTK shows an image, and loads a presentation state of its patient, who must have a name."""
    code, _ = run("dcmp2pgm", path, path.with_suffix(".pgm"))
    return code == 0 and bool(pydicom.dcmread(state, specific_tags=["PatientName"]).PatientName)


def page(rows: list[Row]) -> Iterator[str]:
    """Yield the lines of the document."""
    done = [row for row in rows if row.outcome.startswith("done")]
    refused = [row for row in rows if row.outcome == "refused"]
    yield "# DICOM input, output and judges"
    yield ""
    yield "Made by `PYTHONPATH=tests python benchmarks/dicom_table.py benchmarks/dicom_table.md`."
    yield "Each input is segmented with the shipped model, all eight DICOM objects are written, and each is judged."
    yield "The synthetic radiograph is no real chest, and the verdict on it is rightly not `accept`."
    yield "Which judges there are and what they find stands in [docs/dicom_judges.md](../docs/dicom_judges.md)."
    yield ""
    not_run = len(rows) - len(done) - len(refused)
    yield f"{len(done)} inputs give results, {len(refused)} are refused, {not_run} were not run."
    objects, judgments = sum(len(row.objects) for row in done), sum(row.judgments for row in done)
    yield f"{objects} objects, {judgments} judgments, {sum(len(row.complaints) for row in rows)} complaints."
    theme = ""
    for row in rows:
        if row.case.theme != theme:
            theme = row.case.theme
            yield from ("", f"## {theme}", "")
            yield "| input | outcome | notes, or reason | objects | judges |"
            yield "| --- | --- | --- | --- | --- |"
        said = "; ".join(row.complaints) or (f"{row.judgments} content" if row.objects else "")
        written = f"all {len(row.objects)}" if len(row.objects) == len(OBJECTS) else ", ".join(row.objects)
        yield f"| {row.case.description} | {row.outcome} | {row.notes} | {written or 'none'} | {said} |"


if __name__ == "__main__":
    sys.exit(main())
