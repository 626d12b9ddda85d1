"""A real archive: Orthanc with its DICOMweb plug-in, on free ports of this machine, in a folder of its own."""

from __future__ import annotations

import base64
import json
import os
import resource
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

__all__ = ["PLUGIN", "Orthanc", "find_orthanc", "free_port"]

PLUGIN: Final = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")

_PATIENCE_S: Final = 60


def find_orthanc() -> str | None:
    """Return the path of the program if it is there with its plug-in, or None."""
    program = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return program if PLUGIN.is_file() else None


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Orthanc:
    """One archive with its database, which survives its end.

    Args:
        folder: for the configuration, the database and the log.
        largest_file: bytes of the largest file that it can write, as if its disk were full; None for no limit.
        options: further entries of the configuration.
    """

    def __init__(self, folder: Path, *, largest_file: int | None = None, **options: Any) -> None:
        self.http_port, self.dicom_port = free_port(), free_port()
        self.node = f"ORTHANC@127.0.0.1:{self.dicom_port}"
        self.url = f"http://127.0.0.1:{self.http_port}/dicom-web"
        self._credentials = dict(options.get("RegisteredUsers", {}))
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # past proxies
        self._folder = folder
        self._largest_file = largest_file
        self._process: subprocess.Popen[bytes] | None = None
        configuration = {
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "Plugins": [str(PLUGIN)],
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": "ORTHANC",
            "DicomPort": self.dicom_port,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowStore": False,
            "DicomCheckModalityHost": True,
            "DicomModalities": {"here": ["CHEXMASK_U", "127.0.0.1", 104]},
            "UnknownSopClassAccepted": True,
            "OverwriteInstances": True,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        (folder / "orthanc.json").write_text(json.dumps(configuration | options))

    def start(self) -> None:
        """Start it and wait until it answers."""
        program = find_orthanc()
        assert program is not None
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, str(self._folder / "orthanc.json")],
                stdout=log,
                stderr=log,
                preexec_fn=self._limit,
                restore_signals=False,  # a write beyond the limit is an error then, as on a full disk, and not the end
            )
        end = time.monotonic() + _PATIENCE_S
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < end, "Orthanc does not answer"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it as a system does, and wait until it is gone and its ports are free; it takes seconds."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_PATIENCE_S)

    def kill(self) -> None:
        """End it without a chance to put its things in order, and wait until it is gone and its ports are free."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_PATIENCE_S)

    def instances(self) -> dict[str, str]:
        """Return all stored objects: Orthanc's identifiers by SOP Instance UID. Each UID must be there once."""
        found = [(item["MainDicomTags"]["SOPInstanceUID"], item["ID"]) for item in self._json("/instances?expand")]
        assert len({uid for uid, _ in found}) == len(found)
        return dict(found)

    def file(self, uid: str) -> bytes:
        """Return an object's file as it lies in the archive."""
        return self._get(f"/instances/{self.instances()[uid]}/file")

    def delete(self, uid: str) -> None:
        """Remove an object."""
        address = f"http://127.0.0.1:{self.http_port}/instances/{self.instances()[uid]}"
        self._opener.open(urllib.request.Request(address, method="DELETE"), timeout=_PATIENCE_S).close()

    def empty(self) -> None:
        """Remove all objects; start it first if a test has left it ended."""
        if not self._answers():
            self.kill()
            self.start()
        for uid in self.instances():
            self.delete(uid)

    def _limit(self) -> None:
        if self._largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self._largest_file, self._largest_file))

    def _json(self, path: str) -> Any:
        return json.loads(self._get(path))

    def _answers(self) -> bool:
        try:
            return bool(self._json("/system"))
        except OSError:
            return False

    def _get(self, path: str) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}")
        for user, password in self._credentials.items():
            encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
            request.add_header("Authorization", f"Basic {encoded}")
        with self._opener.open(request, timeout=_PATIENCE_S) as answer:
            content: bytes = answer.read()
        return content
