"""The examiner: everything learned that judges a result of the landmark network, in one module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn

from monai_chexmask_u.networks.distances import GaussianDistance, ShapeModel
from monai_chexmask_u.networks.encoder import CHANNELS
from monai_chexmask_u.networks.error_head import ErrorHead
from monai_chexmask_u.networks.shift_detector import KINDS_OF_IMAGE, ShiftDetector
from monai_chexmask_u.networks.states import StateError, check_state, is_whole

__all__ = ["SCORES", "Examiner", "examiner_from_state"]

SCORES: Final = (
    "combined",
    "foreign",
    "feature_distance",
    "latent_distance",
    "latent_divergence",
    "shape_distance",
    "flatness",
    "saturation",
    *(f"is_{kind}" for kind in KINDS_OF_IMAGE),
)
"""What the examiner says of an image, in order; higher is more foreign, except for the first of the kinds.

``combined`` joins ``foreign`` (log odds of the shift detector against a frontal chest) and ``feature_distance``
(Mahalanobis distance of the pooled feature maps from those of frontal radiographs). ``latent_distance`` is that of the
latent mean, ``latent_divergence`` the divergence of the latent Gaussian from the prior, ``shape_distance`` that of the
outlines from the shapes of the training radiographs. ``flatness`` is 1 minus the range of gray levels, ``saturation``
the share of the brightest one. The rest are the detector's probabilities.
"""

ODDS_SCALE: Final = 4.0


class Examiner(nn.Module):
    """Predicts errors, and scores how foreign an image is.

    Args:
        latent_size: dimensions of the latent space.
    """

    def __init__(self, latent_size: int = 64) -> None:
        """Build the parts untrained."""
        super().__init__()
        self.error_head = ErrorHead()
        self.detector = ShiftDetector(latent_size)
        self.features = GaussianDistance(2 * CHANNELS[-1])
        self.latent = GaussianDistance(latent_size)
        self.shape = ShapeModel()

    @torch.no_grad()
    def forward(
        self,
        image: Tensor,
        features: list[Tensor],
        mean: Tensor,
        covariance: Tensor,
        latent_mean: Tensor,
        latent_std: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Examine the results for a batch.

        Args:
            image: ``(batch, 1, size, size)`` in 0..1.
            features: feature maps from `HybridGNet.encode`.
            mean: landmarks ``(batch, 120, 2)`` in the network frame.
            covariance: of the latent samples, ``(batch, 120, 2, 2)``.
            latent_mean: ``(batch, latent)``.
            latent_std: ``(batch, latent)``.

        Returns:
            Covariance of the landmarks' errors ``(batch, 120, 2, 2)`` in the network frame, and the scores
            ``(batch, score)`` in the order of `SCORES`.
        """
        with torch.autocast(image.device.type, enabled=False):  # bfloat16 has three digits
            grid = ShiftDetector.look_at(features)
            log_var = 2 * torch.log(latent_std)
            kinds = self.detector(grid, torch.cat([latent_mean, log_var], dim=-1)).log_softmax(dim=-1)
            foreign = torch.logsumexp(kinds[:, 1:], dim=-1) - kinds[:, 0]
            distance = self.features(grid.mean(dim=(2, 3)))
            scores = [
                foreign / ODDS_SCALE + 0.5 * distance,
                foreign,
                distance,
                self.latent(latent_mean),
                0.5 * (latent_mean.square() + latent_std.square() - 1 - log_var).sum(dim=-1),
                self.shape(mean),
                *_gray_levels(image),
                *kinds.exp().unbind(dim=-1),
            ]
            return self.error_head(features, mean, covariance), torch.stack(scores, dim=-1)


def examiner_from_state(state: object) -> Examiner:
    """Build the examiner that a state dict belongs to, in evaluation mode.

    Args:
        state: as read from a file: whatever stands there.

    Raises:
        StateError: if tensors are missing, left over, of other shapes or kinds, not finite, or no distance can be
            computed with them; the message continues "the file ...".
    """
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise StateError("holds no state of an examiner")
    mean, precision = state.get("latent.mean"), state.get("latent.precision")
    if mean is None or precision is None or mean.ndim != 1 or not len(mean):
        raise StateError("lacks latent.mean or latent.precision")
    if precision.shape != (len(mean), len(mean)) or not is_whole(precision):  # an examiner of that size takes as much
        raise StateError(f"has wrong shapes: latent.precision {tuple(precision.shape)} beside {len(mean)} means")
    examiner = Examiner(len(mean))
    check_state(state, examiner.state_dict())
    examiner.load_state_dict(state)
    parts: dict[str, GaussianDistance | ShapeModel] = {
        "features": examiner.features,
        "latent": examiner.latent,
        "shape": examiner.shape,
    }
    for name, distance in parts.items():
        if fault := distance.fault():
            raise StateError(f"has {fault} in {name}")
    negative = [name for name, value in state.items() if name.endswith("running_var") and (value < 0).any()]
    if negative:
        raise StateError(f"has negative variances in {negative[0]}")
    return examiner.eval()


def _gray_levels(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return flatness, 1 minus the range of nearly all gray levels, and the share of the brightest one."""
    flat = image.flatten(1).float()
    ends = torch.tensor([0.02, 0.98], device=flat.device)
    low, high = torch.stack(
        [torch.quantile(pixels, ends) for pixels in flat], dim=1
    )  # it refuses a large batch at once
    return 1 - (high - low), (flat > 254.5 / 255).float().mean(dim=1)
