"""Parameters that clients send as JSON text in a form."""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

from fastapi import HTTPException

__all__ = ["parsed_object"]

MAX_DEPTH: Final = 32


def parsed_object(text: str) -> dict[str, Any]:
    """Return the parameters.

    Raises:
        JSONDecodeError: if the text is no JSON; the server answers that with 400.
        HTTPException: 400 if it is no JSON object, or holds what notes cannot keep.
    """
    try:
        parsed: Any = json.loads(text or "{}", parse_constant=_no_number)
        if isinstance(parsed, dict) and _is_storable(parsed):
            return parsed
    except RecursionError:
        pass
    message = f"the parameters must be a JSON object of finite numbers and Unicode texts, {MAX_DEPTH} levels deep"
    raise HTTPException(400, f"{message} at most")


def _no_number(name: str) -> NoReturn:
    raise HTTPException(400, f"the parameters are no JSON: {name} is no number in it")


def _is_storable(value: Any, depth: int = 1) -> bool:
    """Tell whether notes can be read again, and sent, with a value in them."""
    if isinstance(value, dict):
        return depth <= MAX_DEPTH and all(
            _is_storable(key) and _is_storable(each, depth + 1) for key, each in value.items()
        )
    if isinstance(value, list):
        return depth <= MAX_DEPTH and all(_is_storable(each, depth + 1) for each in value)
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value)
    return not isinstance(value, float) or math.isfinite(value)
