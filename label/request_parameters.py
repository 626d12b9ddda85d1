"""Parameters that clients send as JSON text in a form."""

from __future__ import annotations

import json
from typing import Any

from fastapi import HTTPException

__all__ = ["parsed_object"]


def parsed_object(text: str) -> dict[str, Any]:
    """Return the parameters.

    Raises:
        JSONDecodeError: if the text is no JSON; the server answers that with 400.
        HTTPException: 400 if it is no JSON object.
    """
    try:
        parsed = json.loads(text or "{}")
    except RecursionError:
        parsed = None
    if not isinstance(parsed, dict):
        raise HTTPException(400, "the parameters must be a JSON object")
    return parsed
