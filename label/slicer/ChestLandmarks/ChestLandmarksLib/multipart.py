"""Forms of several parts (RFC 7578), which MONAI Label takes and gives."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Part", "decode_form", "encode_form"]


@dataclass(frozen=True)
class Part:
    """One field of a form.

    Attributes:
        content: its bytes.
        filename: empty if the field is no file.
    """

    content: bytes
    filename: str = ""


def encode_form(parts: Mapping[str, Part]) -> tuple[bytes, str]:
    """Return a form's bytes and its content type."""
    boundary = secrets.token_hex(16)
    lines: list[bytes] = []
    for name, part in parts.items():
        file = f'; filename="{_quoted(part.filename)}"' if part.filename else ""
        lines += [f"--{boundary}".encode(), f'Content-Disposition: form-data; name="{name}"{file}'.encode()]
        lines += [b"Content-Type: application/octet-stream"] if file else []
        lines += [b"", part.content]
    return b"\r\n".join([*lines, f"--{boundary}--".encode(), b""]), f"multipart/form-data; boundary={boundary}"


def decode_form(body: bytes, content_type: str) -> dict[str, Part]:
    """Return the fields of a form by name.

    Raises:
        ValueError: if it is no such form.
    """
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    if boundary is None:
        raise ValueError(f"a form of several parts was expected, got {content_type or 'no content type'}")
    parts: dict[str, Part] = {}
    for piece in (b"\r\n" + body).split(b"\r\n--" + boundary.group(1).encode())[1:]:
        if piece.startswith(b"--"):
            return parts
        head, _, content = piece.partition(b"\r\n\r\n")
        header = head.decode("utf-8", "replace")
        name, file = re.search(r'[; ]name="([^"]*)"', header), re.search(r'filename="([^"]*)"', header)
        if name:
            parts[name.group(1)] = Part(content, file.group(1) if file else "")
    raise ValueError("the form ends before its last part")


def _quoted(name: str) -> str:
    return name.replace("\\", "_").replace('"', "%22").replace("\r", " ").replace("\n", " ")
