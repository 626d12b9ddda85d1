from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monai_chexmask_u.model import Model

pytest.importorskip("gradio")
server = pytest.importorskip("monai_chexmask_u.demo.server")


@pytest.mark.parametrize(
    ("host", "hosts", "needs_token", "has_token", "warns"),
    [
        ("127.0.0.1", [], True, False, False),
        ("127.0.0.1", ["localhost:9000", "[::1]:9000", "http://127.0.0.1:9000"], True, False, False),
        ("127.0.0.1", ["https://radiology.example"], True, True, False),
        ("127.0.0.1", ["localhost:9000", "radiology.example:8443"], True, True, False),
        ("127.0.0.1", ["10.0.0.5"], True, True, False),
        ("127.0.0.1", ["localhost.radiology.example"], True, True, False),
        ("127.0.0.1", ["https://radiology.example"], False, False, True),
        ("127.0.0.1", [], False, False, False),
        ("0.0.0.0", [], True, True, False),
        ("0.0.0.0", [], False, False, True),
    ],
)
def test_whoever_is_not_at_this_machine_needs_the_token(
    host: str,
    hosts: list[str],
    needs_token: bool,
    has_token: bool,
    warns: bool,
    monkeypatch: pytest.MonkeyPatch,
    tiny_model: Model,
    tmp_path: Path,
) -> None:
    lines: list[str] = []
    apps: list[Any] = []
    monkeypatch.setattr(server, "build_app", lambda *_, **__: server._nothing)
    monkeypatch.setattr(server._Server, "run", lambda self, sockets: apps.append(self.config.app))
    server.serve(
        tiny_model,
        tmp_path,
        host=host,
        port=0,
        device="cpu",
        announce=lines.append,
        hosts=hosts,
        needs_token=needs_token,
    )
    assert ("?token=" in lines[0]) is has_token
    assert isinstance(apps[0].app, server.AccessToken) is has_token
    assert ("Everyone who reaches it may use it." in lines[0]) is warns
