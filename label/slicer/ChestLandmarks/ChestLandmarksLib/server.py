"""The MONAI Label server, as this module uses it."""

from __future__ import annotations

import json
import re
import socket
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

from .multipart import Part, decode_form, encode_form

__all__ = ["MODEL", "SEGMENTATION_MODEL", "InferResult", "LabelServer", "ServerError"]

MODEL: Final = "chest_landmarks"
SEGMENTATION_MODEL: Final = "chest_segmentation"
LONGEST_DETAIL: Final = 300


class ServerError(Exception):
    """Why a request did not succeed, in one sentence for the user."""


@dataclass(frozen=True)
class InferResult:
    """What a model says of an image.

    Attributes:
        content: of the result's file.
        suffix: of that file, ``.mrk.json`` or ``.nrrd``.
        record: the record of the result, with landmarks in pixels of the image, verdict and score.
    """

    content: bytes
    suffix: str
    record: dict[str, Any]


class LabelServer:
    """Sends requests; each one blocks until it is answered.

    Args:
        url: of the server; ``http://`` may be left out.
        timeout: in seconds, of requests that are answered at once.
        infer_timeout: in seconds, of those that run a model.
    """

    def __init__(self, url: str, *, timeout: float = 15.0, infer_timeout: float = 300.0) -> None:
        """Check the address; nothing is sent.

        Raises:
            ServerError: if it is no address of a web server.
        """
        url = url.strip()
        self.url = (url if "://" in url else f"http://{url}").rstrip("/")
        self.timeout, self.infer_timeout = timeout, infer_timeout
        try:
            parts = urllib.parse.urlsplit(self.url)
            is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            is_usable = False
        if not is_usable:
            raise ServerError(f"{url!r} is no address of a server; it looks like http://127.0.0.1:8000")

    def info(self) -> dict[str, Any]:
        """Return what the server offers: ``models``, ``strategies``, ``trainers``."""
        return self._json("GET", "/info/")

    def images(self) -> list[str]:
        """Return the ids of all images."""
        return sorted(self._json("GET", "/datastore/", {"output": "all"}).get("objects", {}))

    def next_image(self, strategy: str) -> str | None:
        """Return the image that a strategy wants annotated next, or None if there is none left."""
        answer = self._json("POST", f"/activelearning/{_quoted(strategy)}", body=b"{}", form="application/json")
        return str(answer["id"]) if answer.get("id") else None

    def fetch_image(self, image: str, folder: Path) -> Path:
        """Save an image's file into a folder, under the name that the server gives it, and return its path."""
        content, headers = self._send("GET", "/datastore/image", {"image": image}, timeout=self.infer_timeout)
        found = re.search(r"filename\*?=(?:utf-8'')?\"?([^\";]+)", headers.get("Content-Disposition", ""), re.I)
        name = Path(urllib.parse.unquote(found.group(1)).replace("\\", "/")).name if found else ""
        path = folder / (name or "image.dcm")
        path.write_bytes(content)
        return path

    def infer(self, model: str, image: str, params: dict[str, Any] | None = None) -> InferResult:
        """Run a model on an image of the server."""
        body, form = encode_form({"params": Part(json.dumps(params or {}).encode())})
        path = f"/infer/{_quoted(model)}"
        content, headers = self._send("POST", path, {"image": image}, body, form, self.infer_timeout)
        try:
            parts = decode_form(content, headers.get("Content-Type", ""))
            file, record = parts["image"], json.loads(parts["params"].content)["chexmask_u"]
        except (KeyError, TypeError, ValueError) as error:
            raise ServerError(
                f"The answer of {self.url} is not one of the app for chest landmarks (model {model})."
            ) from error
        return InferResult(file.content, "".join(Path(file.filename).suffixes), record)

    def submit(self, image: str, markups: bytes, *, tag: str = "final") -> dict[str, Any]:
        """Store markups as the label of an image."""
        body, form = encode_form({"params": Part(b"{}"), "label": Part(markups, "landmarks.mrk.json")})
        return self._json("PUT", "/datastore/label", {"image": image, "tag": tag}, body, form)

    def start_training(self) -> dict[str, Any]:
        """Start training on all labels that were sent."""
        return self._json("POST", f"/train/{MODEL}", body=b"{}", form="application/json")

    def training(self) -> dict[str, Any] | None:
        """Return the state of the last training (``status``, ``details``), or None if there was none."""
        try:
            return self._json("GET", "/train/")
        except ServerError as error:
            if isinstance(error.__cause__, urllib.error.HTTPError) and error.__cause__.code == 404:
                return None
            raise

    def _json(
        self, method: str, path: str, query: dict[str, str] | None = None, body: bytes | None = None, form: str = ""
    ) -> dict[str, Any]:
        content, _ = self._send(method, path, query, body, form)
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ServerError(f"The answer of {self.url}{path} is not that of a MONAI Label server.")
        return answer

    def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
        form: str = "",
        timeout: float | None = None,
    ) -> tuple[bytes, Message]:
        address = f"{self.url}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        request = urllib.request.Request(address, body, {"Content-Type": form} if form else {}, method=method)
        seconds = timeout or self.timeout
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            raise ServerError(_refusal(error)) from error
        except socket.timeout as error:  # noqa: UP041  (another class in Python 3.9, which Slicer 5.8 has)
            raise ServerError(f"{self.url} has not answered for {seconds:g} s; try again later.") from error
        except (OSError, HTTPException, ValueError) as error:
            raise ServerError(self._unreachable(error, seconds)) from error

    def _unreachable(self, error: Exception, seconds: float) -> str:
        reason = getattr(error, "reason", error)
        if isinstance(reason, socket.timeout):
            return f"{self.url} has not answered for {seconds:g} s; try again later."
        cause = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        return f"The server {self.url} cannot be reached ({cause}); check the address and that it is started."


def _refusal(error: urllib.error.HTTPError) -> str:
    """Return what the server says of a mistake."""
    try:
        detail = json.loads(error.read()).get("detail")
    except (OSError, ValueError, AttributeError):
        detail = None
    if isinstance(detail, list):  # FastAPI's own checks
        detail = "; ".join(str(item.get("msg", item)) if isinstance(item, dict) else str(item) for item in detail)
    said = " ".join(str(detail or error.reason or "no reason given").split())[:LONGEST_DETAIL]
    return f"The server refused this ({error.code}): {said}"


def _quoted(name: str) -> str:
    return urllib.parse.quote(name, safe="")
