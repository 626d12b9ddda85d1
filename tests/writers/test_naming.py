from __future__ import annotations

from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from monai_chexmask_u.writers.naming import output_names

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
