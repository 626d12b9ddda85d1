from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from support.samples.experiments import FEW

from monai_chexmask_u.data.radiograph_sets import RadiographItem
from monai_chexmask_u.experiments.conditions import (
    Condition,
    Plan,
    condition_seed,
    conditions_of,
    published_severity,
)
from monai_chexmask_u.experiments.foreign import FOREIGN
from monai_chexmask_u.transforms.corruptions import CORRUPTIONS

OUTLINED = RadiographItem(Path("a.png"), "a", "set", landmarks=np.zeros((120, 2)), partner=Path("b.png"))
FRONTAL_RADIOGRAPH = RadiographItem(Path("x.png"), "x", "scanner")
HAND = RadiographItem(Path("h.png"), "h", "teaching", label="hand")


def test_outlined_radiographs_are_corrupted_and_frontal_ones_made_foreign() -> None:
    counts = {
        item: [len(conditions_of(item, part, FEW)) for part in ("clean", "corrupted", "foreign")]
        for item in (OUTLINED, FRONTAL_RADIOGRAPH, HAND)
    }
    assert list(counts.values()) == [[1, 5, 3], [1, 0, 3], [1, 0, 0]]


def test_nothing_is_blended_in_without_another_radiograph() -> None:
    alone = replace(OUTLINED, partner=None)
    assert {condition.kind for condition in conditions_of(alone, "corrupted", FEW)} == {
        "gaussian_noise",
        "occlusion",
        "crop",
    }


def test_plan_has_every_corruption_with_its_levels_and_the_published_worst_one() -> None:
    plan = Plan()
    assert set(plan.levels) == set(CORRUPTIONS)
    assert set(plan.foreign) == set(FOREIGN)
    for name, levels in plan.levels.items():
        corruption = CORRUPTIONS[name]
        assert list(levels) == sorted(set(levels))
        assert min(levels) > 0
        assert len(levels) == sum(level > 0 for level in corruption.levels)  # none is lost, none is added
        assert corruption.published is None or corruption.published in levels
    assert plan.levels["occlusion"][2] == 301
    assert published_severity("occlusion_4") == 201


def test_seed_depends_on_seed_radiograph_and_kind_but_not_on_severity_and_set() -> None:
    noise = Condition("corrupted", "gaussian_noise", 10)
    seed = condition_seed(0, OUTLINED, noise)
    assert condition_seed(0, OUTLINED, replace(noise, severity=20)) == seed
    assert condition_seed(0, replace(OUTLINED, source="elsewhere"), noise) == seed
    others = [
        condition_seed(1, OUTLINED, noise),
        condition_seed(0, FRONTAL_RADIOGRAPH, noise),
        condition_seed(0, OUTLINED, replace(noise, kind="occlusion")),
    ]
    assert len({seed, *others}) == 4
    assert Counter(map(type, others)) == {int: 3}
