"""What is done to a radiograph before it is measured."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from monai_chexmask_u.data.radiograph_sets import FRONTAL, RadiographItem
from monai_chexmask_u.experiments.foreign import FOREIGN
from monai_chexmask_u.transforms.corruptions import CORRUPTIONS

__all__ = ["CLEAN", "Condition", "Part", "Plan", "condition_seed", "conditions_of", "published_severity"]

CLEAN: Final = "clean"
Part = Literal["clean", "corrupted", "foreign"]


@dataclass(frozen=True)
class Condition:
    """One way to show a radiograph: as it is, corrupted, or made foreign.

    Attributes:
        part: what the condition is measured for.
        kind: ``clean``, or a name of `CORRUPTIONS` or `FOREIGN`.
        severity: of the corruption, in its unit; 0 for the others.
    """

    part: Part
    kind: str = CLEAN
    severity: float = 0.0


def published_severity(kind: str) -> float:
    """Return the severity at which the paper looks at nodes inside and outside the altered squares.

    It is that of the paper's figures; where it has none, the middle one of the levels.
    """
    corruption = CORRUPTIONS[kind]
    levels = corruption.levels
    return levels[len(levels) // 2] if corruption.published is None else corruption.published


def _all_levels() -> dict[str, tuple[float, ...]]:
    """Return the levels above zero, a published one in place of its neighbor where it is not one of the levels."""
    found = {}
    for name, corruption in CORRUPTIONS.items():
        published = corruption.published
        near = [
            published if published and abs(level - published) <= 0.01 * published else level
            for level in corruption.levels
        ]
        found[name] = tuple(sorted({level for level in near if level > 0}))
    return found


@dataclass(frozen=True)
class Plan:
    """Everything that a run looks at.

    Attributes:
        levels: severities above zero, by corruption; clean radiographs stand for zero.
        foreign: kinds of foreign images to make.
    """

    levels: Mapping[str, Sequence[float]] = field(default_factory=_all_levels)
    foreign: Sequence[str] = tuple(FOREIGN)


def conditions_of(item: RadiographItem, part: Part, plan: Plan) -> list[Condition]:
    """List the conditions of a radiograph.

    Corrupted are radiographs with outlines; foreign images are made of frontal radiographs; every radiograph is shown
    as it is.
    """
    if part == "clean":
        return [Condition(part)]
    if part == "foreign":
        return [Condition(part, kind) for kind in plan.foreign] if item.label == FRONTAL else []
    if item.landmarks is None:
        return []
    return [
        Condition(part, kind, float(level))
        for kind, levels in plan.levels.items()
        if item.partner is not None or not CORRUPTIONS[kind].needs_partner
        for level in levels
    ]


def condition_seed(seed: int, item: RadiographItem, condition: Condition) -> int:
    """Return the seed of a condition's noise and places.

    It depends on the run's seed, the radiograph's name and the kind alone: neither on the order nor on the other
    radiographs, and not on the severity either, so that severities are nested.
    """
    words = (seed, zlib.crc32(item.name.encode()), zlib.crc32(condition.kind.encode()))
    return int(np.random.SeedSequence(words).generate_state(1)[0])
