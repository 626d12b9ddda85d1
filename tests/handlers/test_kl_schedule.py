from __future__ import annotations

import pytest
from ignite.engine import Engine

from monai_chexmask_u.handlers import KLWeightSchedule
from monai_chexmask_u.losses import HybridGNetLoss


def weights_by_epoch(*, ramp: int, epochs: int, first: int = 1) -> dict[int, float]:
    """Run a trainer, or resume one before epoch `first`, and note the weight in each epoch."""
    loss = HybridGNetLoss(kl_weight=99.0)
    seen: dict[int, float] = {}
    trainer = Engine(lambda engine, batch: seen.update({engine.state.epoch: loss.kl_weight}))
    KLWeightSchedule(loss, start=1.0, end=5.0, epochs=ramp).attach(trainer)
    if first > 1:
        trainer.load_state_dict({"epoch": first - 1, "max_epochs": epochs, "epoch_length": 2})
    trainer.run([0, 0], max_epochs=epochs, epoch_length=2)
    return seen


def test_weight_rises_linearly_and_then_stays() -> None:
    assert weights_by_epoch(ramp=4, epochs=7) == pytest.approx({1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 5, 7: 5})


@pytest.mark.parametrize("first", [2, 4, 6])
def test_a_resumed_run_goes_on_where_it_was(first: int) -> None:
    whole = weights_by_epoch(ramp=4, epochs=7)
    resumed = weights_by_epoch(ramp=4, epochs=7, first=first)
    assert resumed == {epoch: weight for epoch, weight in whole.items() if epoch >= first}


def test_without_a_ramp_the_last_weight_holds_from_the_start() -> None:
    assert weights_by_epoch(ramp=0, epochs=2) == {1: 5.0, 2: 5.0}
