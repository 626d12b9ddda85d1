"""Every case of DICOM input: its outcome, its notes, its image, and the table of them in the documentation."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.cases.all_cases import CASES, Case, updated

from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.radiograph import RadiographError

BOMBS = [case for case in CASES if "large" in case.theme or "lie about" in case.theme]
# Of what a reader takes by itself, and the largest of the bombs by megabytes that it must not take.
MOST_MEGABYTES = 400


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case_ends_as_the_table_says(case: Case, tmp_path: Path) -> None:
    if case.missing:
        pytest.skip(case.missing)
    path = case.make(tmp_path)
    if case.code:
        with pytest.raises(RadiographError) as refused:
            read_dicom(path)
        assert refused.value.code == case.code
        return
    radiograph = read_dicom(path)
    assert set(radiograph.notes) == case.notes
    assert len(radiograph.notes) == len(case.notes)
    assert radiograph.view == case.view
    assert radiograph.spacing_mm == (case.spacing_mm and pytest.approx(case.spacing_mm))
    assert case.is_right(radiograph)


def test_cases_have_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert len({(case.theme, case.description) for case in CASES}) == len(CASES)


def test_notes_name_no_value(tmp_path: Path) -> None:
    secrets = {"12\n34", "1\a", "MALE", "64", "71 kg", "A^B^C^D^E^F", "Müller", "SYN-0001"}
    for case in CASES:
        if case.theme in ("Patient and study", "Character sets") and not case.code:
            notes = " ".join(read_dicom(case.make(tmp_path)).notes)
            assert [secret for secret in secrets if secret in notes] == []


def test_table_in_the_documentation_is_up_to_date(repository: Path) -> None:
    page = (repository / "docs" / "dicom_input.md").read_text(encoding="utf-8")
    command = "PYTHONPATH=tests python tests/support/cases/all_cases.py docs/dicom_input.md"
    assert page == updated(page), f"run {command}"


def test_every_promise_names_a_test_that_is_there(repository: Path) -> None:
    page = (repository / "docs" / "dicom_input.md").read_text(encoding="utf-8")
    rules = page.partition("<!-- cases -->")[0]
    promises = [line for line in rules.splitlines() if line.startswith("- ") and not line.startswith("- **")]
    assert len(promises) > 10
    for promise in [*promises, rules.partition("## Sizes of the result")[2]]:
        files = re.findall(r"(?:`(test_\w+)` in )?`(tests/[\w/]+\.py)`", promise)
        assert files, promise
        for function, file in files:
            text = (repository / file).read_text(encoding="utf-8")
            assert f"def {function or 'test_'}" in text, (function, file)


def test_no_file_takes_memory_by_what_it_claims(tmp_path: Path) -> None:
    """The process is limited as well, so that a failure takes no machine down."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of memory is not told here (/proc/self/status)")
    paths = [case.make(tmp_path) for case in BOMBS if case.code and not case.missing]
    program = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
from pathlib import Path
from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.radiograph import RadiographError
for path in sys.argv[1:]:
    try:
        read_dicom(Path(path))
    except RadiographError as error:
        peak = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
        print(Path(path).stem, error.code, int(peak[0].split()[1]) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, *paths], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    told = [line.split() for line in done.stdout.splitlines()]
    assert [name for name, _, _ in told] == [path.stem for path in paths]
    assert [name for name, _, megabytes in told if int(megabytes) > MOST_MEGABYTES] == []
