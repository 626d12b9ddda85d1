"""The uncertainty inferer: the posterior sampler as MONAI's engines call it."""

from __future__ import annotations

from typing import Any

from monai.inferers import Inferer
from torch import Tensor

from monai_chexmask_u.networks.hybridgnet import HybridGNet
from monai_chexmask_u.networks.posterior_sampler import PosteriorSampler
from monai_chexmask_u.posterior import LandmarkPosterior

__all__ = ["LandmarkUncertaintyInferer"]


class LandmarkUncertaintyInferer(PosteriorSampler, Inferer):
    """A `PosteriorSampler` that is an inferer of MONAI, with the sampler's arguments."""

    def __call__(self, inputs: Tensor, network: HybridGNet, *args: Any, **kwargs: Any) -> LandmarkPosterior:
        """Infer the posterior of a batch.

        Args:
            inputs: images ``(batch, 1, size, size)`` in 0..1.
            network: in evaluation mode or not; it makes no difference.
            args: ignored, for compatibility with MONAI's engines.
            kwargs: ignored, likewise.

        Returns:
            The posterior in the network frame.
        """
        return self.infer(inputs, network)[0]
