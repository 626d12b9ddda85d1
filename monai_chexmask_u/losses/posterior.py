"""The training loss of a posterior that tells the truth: its samples spread as far as its errors go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from monai_chexmask_u.anatomy import NODE_COUNT, ORGANS, pooling_matrix
from monai_chexmask_u.losses.energy_score import energy_score
from monai_chexmask_u.losses.hybridgnet import level_targets, organ_cross_entropy
from monai_chexmask_u.losses.shape_code import ShapeCode
from monai_chexmask_u.networks.error_head import contour_axes

__all__ = ["PosteriorLoss"]

# Nobody places outlines more exactly than to a hundredth of their spread over the population; without this floor, one
# image whose variance is rounded to 0 ends the training.
SMALLEST_VARIANCE: Final = 1e-4


class PosteriorLoss(nn.Module):
    """Energy score of the samples at every level, likelihood of the latent shape code, and the prior for no chest.

    - The samples are scored node by node, and as whole shapes, at every level of the decoder. A squared error of one
      sample, as in the published loss, punishes spread wherever it is; this one rewards it where it covers the error.
    - Most of a landmark's error lies along its contour and would decide alone, while outline, area and cardiothoracic
      ratio depend on what lies across it. So that part is scored for itself: node by node, organ by organ, and as the
      mean shift of an organ's outline, which is what its area changes by.
    - The leading latent dimensions are the outline's shape code, by the Gaussian's likelihood, and the others are
      drawn towards N(0, 1), as the published loss draws all of them.
    - An image without any known landmark shows no chest: its latent Gaussian is to be the prior N(0, 1).

    Landmarks that are not finite (NaN) are unknown and count nowhere; an outline that is not whole has no code.

    Args:
        shape_code: of the leading latent dimensions.
        code_weight: of the likelihood.
        free_weight: of the divergence of the other dimensions.
        prior_weight: of the divergence on images without a chest.
        mask_weight: of the cross entropy of the organs on the fine map; only a network with refinements has one.
        across_weight: of the scores of what lies across the contours.

    References:
        Cosarinsky et al., CheXmask-U, https://arxiv.org/abs/2512.10715
        Gneiting and Raftery, Strictly proper scoring rules, prediction, and estimation, JASA 2007
    """

    pool: Tensor

    def __init__(
        self,
        shape_code: ShapeCode,
        *,
        code_weight: float = 0.1,
        free_weight: float = 0.02,
        prior_weight: float = 0.1,
        mask_weight: float = 0.1,
        across_weight: float = 1.0,
    ) -> None:
        """Keep the weights and the pooling map."""
        super().__init__()
        self.shape_code = shape_code
        self.code_weight = code_weight
        self.free_weight = free_weight
        self.prior_weight = prior_weight
        self.mask_weight = mask_weight
        self.across_weight = across_weight
        self.register_buffer("pool", torch.from_numpy(pooling_matrix()).float())

    def forward(self, prediction: Mapping[str, Any], target: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            prediction: from `VariationalTraining` with at least two samples.
            target: true landmarks ``(batch, 120, 2)`` in the network frame, NaN where unknown.

        Returns:
            A scalar.

        Raises:
            ValueError: if the loss is not finite.
        """
        target = torch.as_tensor(target).as_subclass(Tensor).float()
        with torch.autocast(target.device.type, enabled=False):
            loss = self._of_samples(prediction, target) + self._of_latent(prediction, target)
            if "organ_logits" in prediction:
                loss = loss + self.mask_weight * organ_cross_entropy(prediction["organ_logits"], target)
        if not loss.isfinite():
            raise ValueError("the loss is not finite: the training has diverged; use a smaller learning rate")
        return loss

    def _of_samples(self, prediction: Mapping[str, Any], target: Tensor) -> Tensor:
        targets = level_targets(target, self.pool)
        scores = []
        for level in (*prediction["levels"], *prediction.get("refined", ())):
            truth, known = targets[level.shape[2]]
            count = known.sum(dim=1)
            nodes = energy_score(level, truth)
            scores.append((nodes * known).sum() / count.sum().clamp(min=1))
            whole = energy_score((level * known[:, None, :, None]).flatten(2), (truth * known[..., None]).flatten(1))
            shown = count > 0
            scores.append((whole[shown] / count[shown].sqrt()).sum() / shown.sum().clamp(min=1))
            if level.shape[2] == NODE_COUNT and self.across_weight:
                scores.append(self.across_weight * _across(level, truth, known))
        return torch.stack(scores).sum()

    def _of_latent(self, prediction: Mapping[str, Any], target: Tensor) -> Tensor:
        mean, log_var = prediction["latent_mean"], prediction["latent_log_var"]
        divergence = 0.5 * (mean.square() + log_var.exp() - 1 - log_var)
        known = target.isfinite().all(dim=-1)
        size = self.shape_code.size
        code = self.shape_code(target).nan_to_num()  # NaN would reach the gradient even where it does not count
        variance = log_var[:, :size].exp() + SMALLEST_VARIANCE
        likelihood = 0.5 * (variance.log() + (code - mean[:, :size]).square() / variance)
        terms = (
            (self.code_weight, likelihood, known.all(dim=-1)),
            (self.free_weight, divergence[:, size:], known.any(dim=-1)),
            (self.prior_weight, divergence, ~known.any(dim=-1)),
        )
        # Every term is a mean over the images of the batch, so that a rare kind of image does not weigh more in it.
        sums = [weight * value[chosen].mean(dim=1).sum() for weight, value, chosen in terms if value.shape[1]]
        return torch.stack(sums).sum() / len(target)


def _across(samples: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Score what lies across the contours of the mean landmarks.

    The directions are those of the forecast, and no gradient flows through them, so that the scores stay proper.

    Args:
        samples: ``(batch, sample, 120, 2)``.
        truth: ``(batch, 120, 2)``, 0 where unknown.
        known: ``(batch, 120)``.

    Returns:
        A scalar: the sum of three scores, each in the unit of the samples.
    """
    normals = contour_axes(samples.detach().mean(dim=1))[:, :, 0]
    sampled, true = (samples * normals[:, None]).sum(dim=-1), (truth * normals).sum(dim=-1)
    nodes = energy_score(sampled.unsqueeze(-1), true.unsqueeze(-1))
    score = (nodes * known).sum() / known.sum().clamp(min=1)
    for organ in ORGANS:
        whole = known[:, organ.nodes].all(dim=1)
        if whole.any():
            of_samples, of_truth = sampled[whole][:, :, organ.nodes], true[whole][:, organ.nodes]
            outline = energy_score(of_samples, of_truth) / of_truth.shape[-1] ** 0.5
            shift = energy_score(of_samples.mean(dim=-1, keepdim=True), of_truth.mean(dim=-1, keepdim=True))
            score = score + (outline + shift).sum() / (len(ORGANS) * len(samples))
    return score
