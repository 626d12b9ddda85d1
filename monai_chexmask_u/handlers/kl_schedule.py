"""Annealing of the latent divergence's weight."""

from __future__ import annotations

from typing import Any

from ignite.engine import Engine, Events

from monai_chexmask_u.losses import HybridGNetLoss

__all__ = ["KLWeightSchedule"]


class KLWeightSchedule:
    """Raises the weight of the divergence linearly from epoch to epoch, then keeps it.

    Args:
        loss: whose ``kl_weight`` is set.
        start: weight in the first epoch.
        end: weight from epoch ``epochs + 1`` on.
        epochs: length of the ramp.

    References:
        Cosarinsky et al., CheXmask-U, https://arxiv.org/abs/2512.10715
    """

    def __init__(self, loss: HybridGNetLoss, start: float, end: float, epochs: int) -> None:
        """Keep the settings."""
        self.loss = loss
        self.start = start
        self.end = end
        self.epochs = epochs

    def attach(self, engine: Any) -> None:
        """Attach to a trainer, as MONAI's handlers do."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Set the weight of the epoch that starts; it depends on the epoch alone, also in a resumed run."""
        progress = min(1.0, (engine.state.epoch - 1) / self.epochs) if self.epochs else 1.0
        self.loss.kl_weight = self.start + progress * (self.end - self.start)
