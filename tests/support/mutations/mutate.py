"""Damage a file in a random way that a number repeats."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Final

from support.mutations.attributes import ATTRIBUTES, on_elements
from support.mutations.elements import take_apart
from support.mutations.raw import RAW, splice
from support.mutations.seeds import seeds
from support.mutations.streams import STREAMS

__all__ = ["STRATEGIES", "mutate", "mutated"]

Strategy = Callable[[Random, bytes, Sequence[bytes]], bytes]


def mutated(seed: str, number: int) -> tuple[str, bytes]:
    """Return the damaged file that a seed's name and a number stand for, and how it was damaged.

    Example:
        >>> mutated("dx", 3) == mutated("dx", 3)
        True
    """
    good = seeds()
    others = [data for name, data in good.items() if name != seed]
    return mutate(Random(f"{seed}/{number}"), good[seed], others)


def mutate(random: Random, data: bytes, others: Sequence[bytes] = ()) -> tuple[str, bytes]:
    """Return data damaged in one to three ways, and the names of these.

    Args:
        random: decides on everything.
        data: a good file.
        others: further good files, parts of which may get into this one.
    """
    names = []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        family = random.choice(FAMILIES)
        name = random.choice(family)
        try:
            data = STRATEGIES[name](random, data, others)
        except (
            ValueError,
            IndexError,
            struct.error,
        ):  # too damaged to be taken apart again, or nothing is left to damage
            continue
        names.append(name)
    return " + ".join(names), data


def _raw(change: Callable[[Random, bytes], bytes], random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return change(random, data)


def _elements(name: str, random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return on_elements(ATTRIBUTES[name])(random, take_apart(data)).data()


def _stream(name: str, random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return STREAMS[name](random, take_apart(data), others).data()


def _splice(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return splice(random, data, random.choice(others or [data]))


STRATEGIES: Final[dict[str, Strategy]] = {
    **{change.__name__: partial(_raw, change) for change in RAW},
    **{name: partial(_elements, name) for name in ATTRIBUTES},
    **{name: partial(_stream, name) for name in STREAMS},
    "splice": _splice,
}
# Elements are the most of what a reader decides on, so that they are damaged more often.
FAMILIES: Final = (
    ("splice", *(change.__name__ for change in RAW)),
    tuple(ATTRIBUTES),
    tuple(ATTRIBUTES),
    tuple(STREAMS),
)
