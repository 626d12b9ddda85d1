"""How to reach an archive is said once, and the doors offer all of it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from monai_chexmask_u.archive.options import OF_NODE, ArchiveOptions
from monai_chexmask_u.archive.settings import OWN_AE_TITLE, Timeouts
from monai_chexmask_u.archive.waiting import Backoff
from monai_chexmask_u.commands.archive import archive

NAMES = {f"--{option.name.replace('_', '-')}" for option in fields(ArchiveOptions)}


def options_of(command: str) -> dict[str, str]:
    group = get_command(archive)
    assert isinstance(group, typer.core.TyperGroup)
    return {each.opts[0]: str(getattr(each, "help", "")) for each in group.commands[command].params}


def test_the_commands_offer_every_option_with_its_words() -> None:
    assert NAMES - options_of("send").keys() == set()
    assert NAMES - options_of("fetch").keys() == {f"--{name.replace('_', '-')}" for name in OF_NODE}
    assert "(PEM)" in options_of("fetch")["--ca-file"]


def test_without_options_the_usual_holds() -> None:
    node, web = ArchiveOptions().node("PACS@127.0.0.1:104"), ArchiveOptions().dicomweb("http://127.0.0.1/x")
    assert (node.own_ae_title, node.tls, node.timeouts) == (OWN_AE_TITLE, None, Timeouts())
    assert (web.timeouts, web.allow_plain_http) == (Timeouts(), False)
    assert ArchiveOptions().backoff().attempts == Backoff().attempts


def test_chosen_options_reach_both_kinds_of_archive() -> None:
    options = ArchiveOptions(
        own_ae_title="MINE", tls=True, connect_timeout=2, answer_timeout=3, attempts=5, allow_plain_http=True
    )
    node, web = options.node("PACS@127.0.0.1:104"), options.dicomweb("http://127.0.0.1/x")
    assert node.own_ae_title == "MINE"
    assert node.tls is not None
    assert web.allow_plain_http
    assert [(each.timeouts.connect_s, each.timeouts.answer_s) for each in (node, web)] == [(2, 3), (2, 3)]
    assert options.backoff().attempts == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [("attempts", 0), ("connect_timeout", 0.0), ("answer_timeout", float("nan")), ("ca_file", Path("absent.pem"))],
)
def test_what_cannot_be_used_is_refused_at_once(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"attempts|time to wait|absent\.pem"):
        ArchiveOptions(**{name: value})  # type: ignore[arg-type]
