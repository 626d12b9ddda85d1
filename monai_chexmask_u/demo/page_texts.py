"""Texts and tables of the page: verdict, change per organ, measures, notes, links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from monai_chexmask_u.anatomy import ORGANS, Organ
from monai_chexmask_u.demo.sessions import Session, Shown
from monai_chexmask_u.radiograph import note_in_words
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.writers.summary_text import (
    ORGAN_COLUMNS,
    VERDICT_SENTENCES,
    measure_rows,
    organ_rows,
)

__all__ = ["change_table", "download_links", "measures", "message", "verdict"]

_SIGNS: Final = {"accept": "✓", "review": "?", "reject": "✕"}
_LABELS: Final = {
    ".landmarks.csv": "CSV of the landmarks",
    ".mask.png": "Mask (PNG)",
    ".overlay.png": "Overlay (PNG)",
    ".mrk.json": "Markups for 3D Slicer",
    ".json": "JSON record",
    ".seg.dcm": "DICOM segmentation (SEG)",
    ".sr.dcm": "DICOM report (SR)",
}


def message(words: str) -> str:
    """Return one line that screen readers read when they have time; errors are shown by `gradio.Error`."""
    return f'<p role="status">{escape(words)}</p>'


def verdict(shown: Shown, *, altered: bool) -> str:
    """Return the verdict with its reasons, by a sign and words and not by color alone."""
    reliability = shown.result.reliability
    reasons = [reliability.in_words(reason) for reason in reliability.reasons]
    notes = [note_in_words(note) for note in shown.radiograph.notes if not note.startswith("altered_")]
    return (
        f'<section class="verdict {reliability.verdict}" aria-label="Verdict">'
        f"<h3>{_SIGNS[reliability.verdict]} {reliability.verdict.capitalize()} {_which(altered)}</h3>"
        f"<p>{escape(VERDICT_SENTENCES[reliability.verdict])}</p>{_list(reasons)}"
        f"<details><summary>How the radiograph was read</summary>{_list(notes) or '<p>Nothing to note.</p>'}</details>"
        "</section>"
    )


def change_table(before: Shown, after: Shown) -> str:
    """Return how the uncertainty of each organ changed by what was done to the radiograph."""
    rows = [
        (
            organ.title,
            _change(before.result.organ_uncertainty_px(organ), after.result.organ_uncertainty_px(organ)),
            _change(_radius(before.result, organ), _radius(after.result, organ)),
        )
        for organ in ORGANS
    ]
    return _table(
        "Change of uncertainty by the alteration",
        ("Organ", "Predictive, mean", "90 % radius, mean"),
        rows,
    )


def measures(shown: Shown, *, altered: bool) -> str:
    """Return areas, cardiothoracic ratio and the other measures of a result."""
    organs = _table(
        f"Organs {_which(altered)}; in brackets: holds the true value with 90 % probability",
        ORGAN_COLUMNS,
        organ_rows(shown.result),
    )
    whole = [
        ("Cardiothoracic ratio", shown.result.cardiothoracic_ratio.in_words()),
        *measure_rows(shown.result, shown.radiograph),
    ]
    return _table(f"Measures {_which(altered)}", ("Measure", "Value"), whole) + organs


def download_links(session: Session, names: Iterable[str]) -> str:
    """Return links to the session's results of these names; a file is written when its link is followed."""
    links = []
    for name in names:
        label = next(words for suffix, words in _LABELS.items() if name.endswith(suffix))
        altered = ", altered radiograph" if name.startswith("altered") else ""
        links.append(f'<li><a href="results/{session.token}/{name}" download="{name}">{label}{altered}</a></li>')
    return (
        f'<nav aria-label="Downloads" data-run="{session.runs}"><ul class="downloads">{"".join(links)}</ul></nav>'
        "<p>DICOM results, of DICOM images alone, are those of the image as uploaded, never of an altered one.</p>"
    )


def _which(altered: bool) -> str:
    return "(altered radiograph)" if altered else "(radiograph as it is)"


def _radius(result: LandmarkSegmentation, organ: Organ) -> float | None:
    return None if result.radius90 is None else float(result.radius90[organ.nodes].mean())


def _change(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return "-"
    share = f", {100 * (after / before - 1):+.0f} %" if before > 0 else ""
    return f"{before:.1f} → {after:.1f} px{share}"


def _list(sentences: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""


def _table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
