"""Credentials come from the environment or from files, fit together, and are shown nowhere."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from monai_chexmask_u.archive.credentials import (
    PASSWORD_VARIABLE,
    TOKEN_VARIABLE,
    USER_VARIABLE,
    Credentials,
    read_credentials,
)

SECRET = "open-sesame"


def test_environment_gives_user_and_password() -> None:
    found = read_credentials({USER_VARIABLE: "ali", PASSWORD_VARIABLE: SECRET})
    assert (found.user, found.password, found.token) == ("ali", SECRET, "")
    assert found


def test_environment_gives_a_token() -> None:
    assert read_credentials({TOKEN_VARIABLE: SECRET, USER_VARIABLE: ""}).token == SECRET


def test_there_may_be_none() -> None:
    assert not read_credentials({PASSWORD_VARIABLE: ""})


def test_files_go_before_variables_and_lose_the_end_of_their_line(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f" {SECRET} \r\n")
    found = read_credentials({USER_VARIABLE: "ali", PASSWORD_VARIABLE: "old"}, password_file=path)
    assert found.password == f" {SECRET} "
    path.write_text(f"{SECRET}\n")
    assert read_credentials({TOKEN_VARIABLE: "old"}, token_file=path).token == SECRET


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_file_without_a_secret_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path}: this"):
        read_credentials({}, token_file=path)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"user": "ali", "password": SECRET, "token": SECRET}, "both a token and a user"),
        ({"password": SECRET, "token": SECRET}, "both a token and a user"),
        ({"user": "ali"}, f"lack the password; set {PASSWORD_VARIABLE}"),
        ({"password": SECRET}, f"lack the user; set {USER_VARIABLE}"),
        ({"user": f"ali:{SECRET}", "password": SECRET}, "holds a colon"),
        ({"token": f"{SECRET}\r\nX: y"}, "characters that no token has"),
        ({"token": f"{SECRET}é"}, "characters that no token has"),
    ],
)
def test_credentials_that_do_not_fit_together_are_not_repeated(given: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        Credentials(**given)
    assert SECRET not in str(caught.value)


def test_representation_and_traceback_show_no_secret() -> None:
    shown = repr(Credentials("ali", SECRET)) + str(Credentials(token=SECRET))
    assert SECRET not in shown
    assert "ali" not in shown
    try:
        Credentials(user="ali")
    except ValueError:
        assert SECRET not in traceback.format_exc()
