"""DICOM JSON (PS3.18, annex F) of an archive, as far as it is looked at, and no more of it than fits."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

__all__ = ["MOST_ANSWER_BYTES", "Item", "items_of", "numbers_of", "sequence_of", "text_of"]

Item = dict[str, Any]

MOST_ANSWER_BYTES: Final = 32 * 1024**2
# A list of empty lists takes 25 times the memory of its text.
_MOST_VALUES: Final = 2_500_000
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")


def items_of(body: bytes, *, most: int = 10_000) -> list[Item]:
    """Return the items of an answer, one by itself as a list of one; none if there is no text.

    Args:
        body: the answer.
        most: items.

    Raises:
        ValueError: if this is no DICOM JSON; the message repeats nothing of it.
    """
    if sum(body.count(mark) for mark in (b"[", b"{", b",")) > _MOST_VALUES:
        raise ValueError("there are more values in it than any archive has to tell")
    try:
        content = json.loads(body, parse_constant=_no_number) if body.strip() else []
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError:  # its text quotes the answer
        raise ValueError("it is no JSON") from None
    items = content if isinstance(content, list) else [content]
    if len(items) > most:
        raise ValueError(f"there are more than {most:,} items in it")
    if not all(_is_item(item) for item in items):
        raise ValueError("it is no DICOM JSON")
    return items


def text_of(item: Item, tag: str) -> str:
    """Return the first value of an attribute, if it is a text or a whole number; nothing otherwise."""
    values = _values(item, tag)
    value = values[0] if values else ""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def numbers_of(item: Item, tag: str) -> list[int]:
    """Return the whole numbers of an attribute; archives write them as texts, too."""
    texts = (text_of({tag: {"Value": [value]}}, tag) for value in _values(item, tag))
    return [int(text) for text in texts if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII)]


def sequence_of(item: Item, tag: str) -> list[Item]:
    """Return the items of a sequence; what is no item is left out."""
    return [value for value in _values(item, tag) if isinstance(value, dict)]


def _values(item: Item, tag: str) -> list[Any]:
    attribute = item.get(tag)
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    return values if isinstance(values, list) else []


def _is_item(item: Any) -> bool:
    return isinstance(item, dict) and all(_TAG.fullmatch(tag) for tag in item)


def _no_number(name: str) -> NoReturn:
    raise ValueError("this is no number")
