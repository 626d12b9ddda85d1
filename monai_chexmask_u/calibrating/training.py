"""Training of the examiner's two networks on collected examples."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monai_chexmask_u.calibrating.examples import ErrorExamples, ImageExamples, Progress
from monai_chexmask_u.networks.error_head import ErrorHead
from monai_chexmask_u.networks.shift_detector import ShiftDetector

__all__ = ["error_likelihood", "train_detector", "train_error_head"]

BATCH = 32
# A network that is far off must not drown what the others say.
GREATEST_LOSS = 20.0


def error_likelihood(covariance: Tensor, error: Tensor) -> Tensor:
    """Return the negative log likelihood of errors under centered Gaussians, up to a constant.

    Args:
        covariance: ``(..., 2, 2)``.
        error: ``(..., 2)``.

    Returns:
        ``(...)``.
    """
    a, b, c = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
    determinant = (a * c - b.square()).clamp_min(1e-20)
    x, y = error.unbind(dim=-1)
    squared_distance = (c * x.square() - 2 * b * x * y + a * y.square()) / determinant
    return 0.5 * (squared_distance + torch.log(determinant))


def train_error_head(
    examples: ErrorExamples, *, steps: int, seed: int, progress: Progress, learning_rate: float = 2e-3
) -> ErrorHead:
    """Train an error head by the likelihood of the errors in the examples.

    Args:
        examples: of corrupted views.
        steps: number of batches.
        seed: of weights, dropout and order.
        progress: called with the number of steps done, and of all.
        learning_rate: greatest one of the one-cycle schedule.

    Returns:
        The exponential average of the weights, in evaluation mode.
    """
    generator = _seeded(seed)
    head = ErrorHead()
    average, optimizer, schedule = _optimizer(head, learning_rate, 1e-2, steps)
    for step in range(steps):
        chosen = torch.randint(len(examples.mean), (BATCH,), generator=generator)
        mean = examples.mean[chosen]
        place, window, coarse = (part[chosen].float() for part in (examples.place, examples.window, examples.coarse))
        covariance = head.predict(place, window, coarse, mean)
        error = examples.truth[chosen] - mean
        known = error.isfinite().all(dim=-1)  # organs may be unknown
        likelihood = error_likelihood(covariance[known], error[known])
        _step(head, likelihood.clamp(max=GREATEST_LOSS).mean(), optimizer, schedule, average)
        progress(step + 1, steps)
    head.load_state_dict(average.module.state_dict())
    return head.eval()


def train_detector(examples: ImageExamples, *, steps: int, seed: int, progress: Progress) -> ShiftDetector:
    """Train a detector to tell frontal radiographs from the other kinds, which are drawn equally often.

    Args:
        examples: of frontal radiographs and of what was made from them; frontal ones are drawn as often as three other
            kinds.
        steps: number of batches.
        seed: of weights, dropout and order.
        progress: called with the number of steps done, and of all.

    Returns:
        The exponential average of the weights, in evaluation mode.
    """
    generator = _seeded(seed)
    detector = ShiftDetector(examples.latent.shape[-1] // 2)
    average, optimizer, schedule = _optimizer(detector, 2e-3, 5e-2, steps)
    counts = torch.bincount(examples.kind).double()
    weights = (1 / counts)[examples.kind] * torch.where(examples.kind == 0, 3.0, 1.0)
    for step in range(steps):
        chosen = torch.multinomial(weights, 3 * BATCH, replacement=True, generator=generator)
        logits = detector(examples.grid[chosen].float(), examples.latent[chosen].float())
        loss = F.cross_entropy(logits, examples.kind[chosen], label_smoothing=0.02)
        _step(detector, loss, optimizer, schedule, average)
        progress(step + 1, steps)
    detector.load_state_dict(average.module.state_dict())
    return detector.eval()


def _seeded(seed: int) -> torch.Generator:
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def _optimizer(
    network: nn.Module, learning_rate: float, weight_decay: float, steps: int
) -> tuple[torch.optim.swa_utils.AveragedModel, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimizer = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, steps, pct_start=0.1)
    averaging = torch.optim.swa_utils.get_ema_multi_avg_fn(0.99)
    average = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=averaging, use_buffers=True)
    return average, optimizer, schedule


def _step(
    network: nn.Module,
    loss: Tensor,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    average: torch.optim.swa_utils.AveragedModel,
) -> None:
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    average.update_parameters(network)
