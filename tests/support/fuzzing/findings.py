"""What is wrong with how a damaged file was refused or segmented."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pydicom
from support import judges
from support.fuzzing.worker import FORMATS
from support.mutations import SECRETS

__all__ = ["faults_of_outcome"]

SUFFIXES: Final = {"json": ".json", "seg": ".seg.dcm", "pr": ".pr.dcm", "sr": ".sr.dcm"}
JUDGES: Final[dict[str, tuple[judges.Judge, ...]]] = {
    "seg": (judges.dciodvfy, judges.iod_tables),
    "pr": (judges.dciodvfy, judges.iod_tables, judges.dcmpschk),
    "sr": (judges.dciodvfy, judges.iod_tables, judges.dsrdump),
}
# Codes that say that the project, not the file, is at fault.
OWN_FAULTS: Final = frozenset({"failed", "not_written"})


def faults_of_outcome(answer: Mapping[str, Any], folder: Path, printed: str, *, is_judged: bool) -> list[str]:
    """Return what is wrong, in words; an empty list if nothing is.

    Args:
        answer: of the process: ``code``, ``message`` and ``written``, or ``raised``.
        folder: where the results are.
        printed: what the process has printed meanwhile.
        is_judged: ask the judges about the results; those that are not installed are left out.
    """
    if "raised" in answer:
        return [f"raised {answer['raised']}"]
    said = f"{answer['message']}\n{printed}"
    faults = []
    if any(secret in said.lower() for secret in SECRETS):
        faults.append(f"patient data in the message or on the terminal: {said!r}")
    if "Traceback" in said:
        faults.append("a traceback on the terminal")
    names = {path.name for path in folder.iterdir()}
    if answer["code"] is not None:
        return faults + _of_refusal(answer["code"], answer["message"], names)
    return faults + _of_results(folder, names, is_judged)


def _of_refusal(code: str, message: str, names: set[str]) -> list[str]:
    faults = [f"a refusal that leaves {', '.join(sorted(names))}"] if names else []
    if not message.strip() or not message.isprintable():  # line breaks are not printable
        faults.append(f"no message of one line: {message!r}")
    if code in OWN_FAULTS:
        faults.append(f"{code}: {message}")
    return faults


def _of_results(folder: Path, names: set[str], is_judged: bool) -> list[str]:
    keys = [key for key in FORMATS if key == "json" or not _lacks_uids(folder / "radiograph.json")]
    expected = {f"radiograph{SUFFIXES[key]}" for key in keys}
    if names != expected:
        return [f"results {', '.join(sorted(names))} in place of {', '.join(sorted(expected))}"]
    faults = _of_record(folder / "radiograph.json")
    for key, asked in ((key, asked) for key, asked in JUDGES.items() if key in keys):
        path = folder / f"radiograph{SUFFIXES[key]}"
        faults += [f"{complaint} of {key}" for complaint in _of_kind(path, key.upper())]
        for judge in asked if is_judged else ():
            if judges.is_available(judge):
                faults += [f"{judge.__name__} of {key}: {complaint}" for complaint in _complaints(judge, path)]
    return faults


def _lacks_uids(record: Path) -> bool:
    """Say whether a record notes that no DICOM objects can be made of its image."""
    try:
        return "uid_missing" in json.loads(record.read_text(encoding="utf-8"))["image"]["notes"]
    except (OSError, ValueError, KeyError, TypeError):  # `_of_record` and the list of results tell
        return False


def _complaints(judge: judges.Judge, path: Path) -> list[str]:
    """Return the first complaints of a judge; one that cannot read the file has one, too."""
    try:
        return judge(path)[:2]
    except Exception as error:  # each has its own errors
        return [f"{type(error).__name__}: {error}"]


def _of_kind(path: Path, modality: str) -> list[str]:
    """Check that a file is DICOM of a kind, which some judges do not look at."""
    try:
        found = pydicom.dcmread(path, specific_tags=["Modality"]).get("Modality")
    except Exception as error:  # whatever the parser raises
        return [type(error).__name__]
    return [] if found == modality else [f"modality {found}"]


def _of_record(path: Path) -> list[str]:
    """Check that the record is JSON, which knows no NaN."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except ValueError as error:
        return [f"the record is no JSON: {error}"]
    return []
