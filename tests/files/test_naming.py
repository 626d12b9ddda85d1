from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from monai_chexmask_u.files.naming import OutputNames, folded, output_names, safe_name
from monai_chexmask_u.files.result_suffixes import RESULT_SUFFIXES

# Few letters, underscores and numbers, so that names meet in every way they can.
words = st.text("ab_-2", min_size=1, max_size=4)
folders = st.lists(words, max_size=3).map(lambda parts: Path(*parts))
files = st.tuples(words, st.sampled_from(["", ".png", ".PNG", ".dcm", ".2"])).map("".join)
paths = st.builds(lambda folder, name, root: root / folder / name, folders, files, st.sampled_from([Path(), Path("/")]))


@given(inputs=st.lists(paths, max_size=8))
@example(inputs=[Path("1.png"), Path("1.png"), Path("1.png-2")])
@example(inputs=[Path("a_b/1.png"), Path("a/b/1.png"), Path("b/1.png")])
def test_no_two_names_are_alike_and_each_is_one_file_name(inputs: list[Path]) -> None:
    names = output_names(inputs)
    assert len(names) == len(inputs)
    assert len(set(names)) == len(names)
    assert all(name and "/" not in name and name not in (".", "..") for name in names)


@given(inputs=st.lists(paths, max_size=8, unique_by=lambda path: path.stem))
def test_files_with_different_stems_are_named_by_them(inputs: list[Path]) -> None:
    for path, name in zip(inputs, output_names(inputs), strict=True):
        assert name == (path.stem if path.suffix.lower() in (".png", ".dcm") else path.name)


def test_same_name_in_two_folders_is_told_apart_by_the_folder() -> None:
    assert output_names([Path("x/1.png"), Path("y/1.png"), Path("2.png")]) == ["x_1.png", "y_1.png", "2"]
    assert output_names([Path("p/x/1.png"), Path("q/x/1.png")]) == ["p_x_1.png", "q_x_1.png"]


def test_the_last_number_of_a_uid_is_no_suffix() -> None:
    assert output_names([Path("1.2.840.17"), Path("1.2.840.18")]) == ["1.2.840.17", "1.2.840.18"]


def test_a_file_given_twice_gets_two_names() -> None:
    assert output_names([Path("1.png"), Path("1.png")]) == ["1.png", "1.png-2"]


any_text = st.text(st.characters(codec=None, exclude_characters="/\0"), min_size=1, max_size=8)
# What shares take for one, what ends like a result, what Windows reserves, what is no text.
LETTERS = [
    "a",
    "A",
    "e\u0301",
    "\xe9",
    "\xc9",
    "\u017f",
    "s",
    "S",
    "\u212a",
    "k",
    "\xdf",
    "ss",
    "\u0131",
    "I",
    "\ufb01",
]
ENDINGS = [
    ".mrk",
    ".MRK",
    ".mr\u212a",
    ".fractional",
    ".viewer",
    ".seg",
    ".dcm",
    ".png",
    ".",
    " ",
    "-2",
    "\uff0e",
    "..",
]
RESERVED = ["con", "NUL", "com1", "COM\xb9"]
NO_TEXT = ["\udcff", "\udc80", "\n", "\x1b[2J", "\u202e", "\\", ":", "x" * 130, "\u00e9" * 90]
tricky = st.lists(st.sampled_from([*LETTERS, *ENDINGS, *RESERVED, *NO_TEXT]), min_size=1, max_size=5).map("".join)
any_name = st.one_of(any_text, tricky).filter(lambda name: name not in (".", ".."))
any_path = st.lists(any_name, min_size=1, max_size=11).map(lambda parts: Path(*parts))


def targets(inputs: list[Path]) -> list[str]:
    return [name + suffix for name in output_names(inputs) for suffix in RESULT_SUFFIXES.values()]


@settings(max_examples=300)
@given(inputs=st.lists(any_path, max_size=8))
@example(inputs=[Path("a.dcm"), Path("a.mrk.dcm")])
@example(inputs=[Path("a.dcm"), Path("a.mrk"), Path("a.mrk_")])
@example(inputs=[Path("Radiograph.png"), Path("radiograph.png"), Path("radiograph-2.png")])
@example(inputs=[Path("e\u0301.png"), Path("\xe9.png")])
@example(inputs=[Path("\xc9.png"), Path("\xe9.png")])
@example(inputs=[Path("\u017f.png"), Path("s.png")])
@example(inputs=[Path("0/0/\ud7fc/0/0"), Path("0/0/\ud800/0/0")])
@example(inputs=[Path("x" * 250 + ".png"), Path("x" * 251 + ".png")])
def test_no_two_files_of_a_run_are_one_on_any_share(inputs: list[Path]) -> None:
    files = targets(inputs)
    assert len({unicodedata.normalize("NFC", file.casefold()) for file in files}) == len(files)
    assert len({unicodedata.normalize("NFC", file).casefold() for file in files}) == len(files)
    assert len({unicodedata.normalize("NFKC", file).lower() for file in files}) == len(files)
    assert len({file.upper() for file in files}) == len(files)


@settings(max_examples=300)
@given(inputs=st.lists(any_path, max_size=8))
def test_every_file_lies_in_the_folder_and_can_be_made_on_any_disk(inputs: list[Path]) -> None:
    for file in targets(inputs):
        assert Path("folder", file).parent == Path("folder")
        assert file.isprintable()
        assert not set(file) & set('<>:"/\\|?*')
        assert len(file.encode()) <= 240
        assert not file.startswith(".")
        assert not re.match(r"(con|prn|aux|nul|com\d|lpt\d)\s*\.", file, re.IGNORECASE)


@given(inputs=st.lists(any_path, max_size=8, unique=True), order=st.randoms())
def test_names_do_not_depend_on_the_order_unless_they_need_a_number(inputs: list[Path], order: Random) -> None:
    names = dict(zip(inputs, output_names(inputs), strict=True))
    shuffled = order.sample(inputs, len(inputs))
    again = dict(zip(shuffled, output_names(shuffled), strict=True))
    assert output_names(inputs) == [names[path] for path in inputs]
    for path in inputs:
        assert names[path] == again[path] or re.search(r"-\d+_?$", names[path] + again[path])


@given(name=st.text("abcXYZ019_- .", min_size=1, max_size=30).filter(lambda name: name[0] not in " ."))
def test_an_ordinary_name_stays_as_it_is(name: str) -> None:
    assert safe_name(name) == name


def test_a_name_that_needs_no_number_keeps_it_from_another() -> None:
    assert output_names([Path("1.png"), Path("1.png"), Path("1.png-2")]) == ["1.png", "1.png-3", "1.png-2"]


def test_many_files_of_one_name_are_named_in_no_time() -> None:
    folder = Path(*"deep" * 20)
    inputs = [folder / str(number) / Path(*"12345678") / "IM0001" for number in range(5000)]
    assert len(set(output_names(inputs))) == 5000
    assert output_names([Path("1.png")] * 5000)[-1] == "1.png-5000"


@given(inputs=st.lists(any_path, max_size=8))
def test_names_given_one_by_one_differ_as_well(inputs: list[Path]) -> None:
    register = OutputNames()
    names = {path: register.name_of(path) for path in inputs}
    assert {path: register.name_of(path) for path in inputs} == names
    assert len({folded(name) for name in names.values()}) == len(names)


def test_a_wanted_name_leads_nowhere_else() -> None:
    register = OutputNames()
    assert register.name_of(Path("1.png"), "../../etc/passwd") == "_._.._etc_passwd"
    assert register.name_of(Path("2.png"), "../../etc/passwd") == "_._.._etc_passwd-2"
