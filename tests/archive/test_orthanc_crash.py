"""An archive dies in the middle: what it has not confirmed stays, and in the end all is there, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from support.servers.orthanc_server import Orthanc

from monai_chexmask_u.archive import cstore, stow
from monai_chexmask_u.archive.delivery import deliver
from monai_chexmask_u.archive.objects import DicomFile
from monai_chexmask_u.archive.outbox import Outbox
from monai_chexmask_u.archive.settings import DicomwebArchive, DimseNode
from monai_chexmask_u.archive.waiting import Backoff, Deadline

pytestmark = pytest.mark.usefixtures("no_secrets_told")

BY_WEB, BY_STORE = "STOW-RS", "C-STORE"
SENDERS: Final[dict[str, Any]] = {BY_WEB: stow.StowSender, BY_STORE: cstore.StoreSender}


@pytest.fixture(scope="module")
def mortal(start_orthanc: Callable[..., Orthanc]) -> Orthanc:
    return start_orthanc()


@pytest.mark.parametrize("way", SENDERS)
@pytest.mark.parametrize("when", ["before it gets the object", "before it confirms the object"])
def test_archive_is_killed_while_objects_are_sent(
    mortal: Orthanc,
    new_file: Callable[[], DicomFile],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    backoff: Backoff,
    way: str,
    when: str,
) -> None:
    target = DicomwebArchive(mortal.url) if way == BY_WEB else DimseNode.parse(mortal.node)
    files = [new_file() for _ in range(6)]
    uids = [file.sop_instance_uid for file in files]
    send = SENDERS[way].send

    def send_and_kill(sender: object, file: DicomFile, deadline: Deadline) -> None:
        if file.sop_instance_uid == uids[3] and not killed:
            killed.append(file.sop_instance_uid)
            if when == "before it confirms the object":
                send(sender, file, deadline)
            mortal.kill()  # the confirmation is lost with it
        send(sender, file, deadline)

    killed: list[str] = []
    monkeypatch.setattr(SENDERS[way], "send", send_and_kill)
    before = set(mortal.instances())
    paths, outbox = [file.path for file in files], tmp_path / "outbox"
    delivery = deliver(paths, target, outbox, backoff=backoff)
    assert list(delivery.sent) == uids[:3]
    assert set(delivery.waiting) == {path.stem for path in Outbox(outbox).waiting()} == set(uids[3:])
    assert "cannot be reached" in str(delivery.problem)

    mortal.start()
    assert set(mortal.instances()) - before == set(uids[:3] if when == "before it gets the object" else uids[:4])
    assert set(deliver([], target, outbox, backoff=backoff).sent) == set(uids[3:])
    assert set(mortal.instances()) - before == set(uids)  # which sees that none is there twice
    for file in files:
        assert (mortal.file(file.sop_instance_uid) == file.path.read_bytes()) or way == BY_STORE
