"""Reading and writing weights: the project's own files, and those of the published HybridGNet."""

import logging
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.networks.decoder import REFINEMENT_SPACINGS
from monai_chexmask_u.networks.encoder import CHANNELS
from monai_chexmask_u.networks.hybridgnet import HybridGNet
from monai_chexmask_u.networks.states import StateError, check_state, is_whole

__all__ = [
    "CheckpointError",
    "is_complete",
    "latest_checkpoint",
    "network_from_state",
    "read_average",
    "read_checkpoint",
    "start_from",
    "write_checkpoint",
]

logger = logging.getLogger(__name__)


class CheckpointError(ValueError):
    """A file holds no weights of this network; the message names the file, the cause and what to do."""


def read_checkpoint(path: Path) -> HybridGNet:
    """Build the network whose weights a file holds; its size and variant are read from the weights' shapes.

    Args:
        path: a state dict, ours or one with the published key names, alone or under a usual key such as ``model``.

    Returns:
        The network in float32, in evaluation mode, on the CPU.

    Raises:
        CheckpointError: if the file is missing, truncated or foreign, or if keys or shapes do not fit.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no weights file here; give the path of a model.pt or a bundle")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's unpickler raises nearly anything on foreign bytes
        cause = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: not a complete PyTorch weights file ({cause}); fetch it again") from error
    try:
        return network_from_state(_state_dict(content))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def write_checkpoint(network: HybridGNet, path: Path, *, half_precision: bool = False) -> None:
    """Write the weights as a plain state dict, which MONAI's bundle commands can read as well.

    Args:
        network: whose weights are written.
        path: the file; written whole or not at all.
        half_precision: store float16, half the size; reading gives float32 again.
    """
    dtype = torch.float16 if half_precision else torch.float32
    state = {name: value.detach().cpu().to(dtype) for name, value in network.state_dict().items()}
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def read_average(paths: Sequence[Path]) -> HybridGNet:
    """Build the network whose weights are the mean of those of several files.

    Trainings that started from the same weights often average to a network better than each.

    Args:
        paths: as for `read_checkpoint`; one variant and one image size.

    Returns:
        The network, as from `read_checkpoint`.

    Raises:
        CheckpointError: if a file cannot be used, or they do not belong together.

    References:
        Wortsman et al., Model soups, https://arxiv.org/abs/2203.05482
    """
    networks = [read_checkpoint(path) for path in paths]
    states = [network.state_dict() for network in networks]
    for path, state in zip(paths, states, strict=True):
        if {name: value.shape for name, value in state.items()} != {name: v.shape for name, v in states[0].items()}:
            raise CheckpointError(f"{path}: these weights are of another variant or image size than {paths[0]}")
    mean = {name: torch.stack([state[name].double() for state in states]).mean(dim=0) for name in states[0]}
    networks[0].load_state_dict(mean)
    return networks[0]


def start_from(network: HybridGNet, path: str | Path) -> None:
    """Give a network the weights of another, perhaps trained on images of another size, to train on from there.

    The convolutions do not depend on the size. The latent layers weigh every pixel of the coarsest map: their weights
    are shared out to the pixels of the new map by the area that they cover, so that their sum stays as it was.

    Args:
        network: is changed; must be of the same variant.
        path: weights, as for `read_checkpoint`.

    Raises:
        CheckpointError: if the file cannot be used or belongs to another variant.
    """
    source = read_checkpoint(Path(path))
    state = source.state_dict()
    before, after = source.image_size // 32, network.image_size // 32
    share = _shares(before, after)
    for name in ("latent_mean.weight", "latent_log_var.weight"):
        maps = state[name].reshape(source.latent_size, CHANNELS[-1], before, before)
        state[name] = (share @ maps @ share.t()).flatten(1)
    if network.bounded_variance and not source.bounded_variance:
        state["variance_bound"] = network.state_dict()["variance_bound"]
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: these weights belong to another variant of the network") from error


def _shares(before: int, after: int) -> Tensor:
    """Return ``(after, before)``: which part of each old cell of a line lies in each new cell."""
    old, new = torch.arange(before + 1.0), torch.arange(after + 1.0) * before / after
    overlap = torch.minimum(old[None, 1:], new[1:, None]) - torch.maximum(old[None, :-1], new[:-1, None])
    return overlap.clamp(min=0)


def latest_checkpoint(folder: str | Path) -> str:
    """Return the newest complete training checkpoint of a folder, to resume from.

    A training that is killed while it writes leaves an incomplete file; the one before it is taken then.

    Args:
        folder: where the training wrote ``checkpoint_epoch=N.pt`` and ``final.pt``.

    Raises:
        CheckpointError: if there is no complete one.
    """
    paths = [*Path(folder).glob("checkpoint_epoch=*.pt"), *Path(folder).glob("final.pt")]
    for path in sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True):
        if is_complete(path):
            return str(path)
        logger.warning("%s is not complete, the one before it is tried", path)
    raise CheckpointError(f"{folder}: no complete checkpoint to resume from; start the training without resume")


def is_complete(path: Path) -> bool:
    """Return whether a checkpoint is there and whole; one that was being written when a training was killed is not."""
    try:
        torch.load(path, map_location="meta", weights_only=True)
    except Exception:  # torch's unpickler raises nearly anything on a truncated file
        return False
    return True


def network_from_state(state: Mapping[str, Tensor]) -> HybridGNet:
    """Build the network that a state dict belongs to.

    Args:
        state: with our or the published names.

    Raises:
        CheckpointError: if keys are missing or left over, shapes do not fit or a value is not finite.
    """
    views = sorted(name for name, value in state.items() if not is_whole(value))
    if views:
        raise CheckpointError(f"these weights do not fit HybridGNet: the file has no numbers of its own for {views[0]}")
    state = _our_names(state)
    network = _empty_network(state)
    try:
        check_state(state, network.state_dict())
    except StateError as error:
        raise CheckpointError(f"these weights do not fit HybridGNet: the file {error}") from error
    network.load_state_dict({name: value.float() for name, value in state.items()})
    return network.eval()


def _state_dict(content: object) -> dict[str, Tensor]:
    """Find the state dict in what a file holds."""
    for key in ("ema", "state_dict", "model", "network"):  # the averaged weights of a training's state come first
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if isinstance(content, Mapping):  # MONAI's saver keeps its list of best metrics among the weights
        content = {name: value for name, value in content.items() if name != "checkpointer"}
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise CheckpointError("the file holds no network weights (a state dict was expected)")
    return {str(name): value for name, value in content.items()}


def _empty_network(state: Mapping[str, Tensor]) -> HybridGNet:
    """Build a network of the size and variant that the weights' shapes tell."""
    weight = state.get("latent_mean.weight")
    if weight is None or weight.ndim != 2 or not len(weight):
        raise CheckpointError("these weights do not fit HybridGNet: the file lacks latent_mean.weight")
    side = math.isqrt(weight.shape[1] // CHANNELS[-1])
    if side < 2 or CHANNELS[-1] * side**2 != weight.shape[1]:
        raise CheckpointError(f"these weights do not fit HybridGNet: latent_mean.weight is {tuple(weight.shape)}")
    skip_connections = any("_connection." in name for name in state)
    refinements = len({name.split(".")[2] for name in state if name.startswith("decoder.refinements.")})
    possible = len(REFINEMENT_SPACINGS) if skip_connections else 0
    return HybridGNet(
        32 * side, weight.shape[0], skip_connections, min(refinements, possible), "variance_bound" in state
    )


# The published names are facts about published files; each line maps one of their patterns to ours.
_BLOCK_PARTS = {
    "block.0": "norm1",
    "block.2": "conv1",
    "block.3": "norm2",
    "block.5": "conv2",
    "skip.0": "shortcut.0",
    "skip.1": "shortcut.1",
}
_MODULES = {
    "encoder.fc_mu": "latent_mean",
    "encoder.fc_logvar": "latent_log_var",
    "dec_lin": "decoder.from_latent",
    "graphConv_up6": "decoder.coarse1",
    "graphConv_up5": "decoder.coarse2",
    "graphConv_up4": "decoder.coarse3",
    "graphConv_up3": "decoder.fine1",
    "graphConv_up2": "decoder.fine2",
    "graphConv_up1.lins.0": "decoder.to_landmarks",
    "SC_1.graphConv_pre.lins.0": "decoder.coarse_connection.position",
    "SC_2.graphConv_pre.lins.0": "decoder.fine_connection.position",
}


def _our_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the published keys to ours; other keys stay as they are."""
    plain = {name.removeprefix("module.").removeprefix("model."): value for name, value in state.items()}
    renamed: dict[str, Tensor] = {}
    polynomials: dict[str, dict[int, Tensor]] = {}
    for name, value in plain.items():
        new = _our_name(name)
        stacked = re.fullmatch(r"(decoder\.\w+)\.lins\.(\d+)\.weight", new)
        if stacked:
            polynomials.setdefault(f"{stacked[1]}.weight", {})[int(stacked[2])] = value
        else:
            renamed[new] = value
    for name, weights in polynomials.items():
        shapes = {tuple(weight.shape) for weight in weights.values()}
        if sorted(weights) != list(range(len(weights))) or len(shapes) > 1:
            raise CheckpointError(f"these weights do not fit HybridGNet: incomplete {name}")
        renamed[name] = torch.stack([weights[order] for order in range(len(weights))])
    return renamed


def _our_name(name: str) -> str:
    block = re.fullmatch(r"encoder\.dconv_down([1-6])\.(block\.[0235]|skip\.[01])\.(weight|bias)", name)
    if block:
        return f"encoder.blocks.{int(block[1]) - 1}.{_BLOCK_PARTS[block[2]]}.{block[3]}"
    for theirs, ours in _MODULES.items():
        if name.startswith(theirs + "."):
            return ours + name.removeprefix(theirs)
    return name
