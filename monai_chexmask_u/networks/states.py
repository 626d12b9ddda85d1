"""Checking the tensors of a file before they become a network's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

__all__ = ["StateError", "check_state", "is_whole"]

SHOWN: Final = 3


class StateError(ValueError):
    """The tensors of a file do not fit a network; the message continues "the file ..."."""


def check_state(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """See that tensors are those of a network: names, shapes, kinds of numbers, and that each number is finite.

    Args:
        state: from a file.
        expected: state of a network of that kind; its values do not matter. Where it has floating-point numbers any
            precision will do, as long as the numbers are finite in the precision that is expected.

    Raises:
        StateError: says what is wrong, with the first names.
    """
    _refuse("lacks", sorted(expected.keys() - state.keys()))
    _refuse("has unknown", sorted(state.keys() - expected.keys()))
    shapes = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(value.shape)}"
        for name, value in expected.items()
        if state[name].shape != value.shape
    ]
    _refuse("has wrong shapes:", shapes)
    kinds = [
        f"{name} {state[name].dtype}".replace("torch.", "")
        for name, value in expected.items()
        if not (is_whole(state[name]) and _is_same_kind(state[name].dtype, value.dtype))
    ]
    _refuse("has other kinds of numbers than the network:", kinds)
    # In the precision that is computed in: a number may be finite in a file of float64 alone.
    infinite = [name for name, value in expected.items() if not state[name].to(value.dtype).isfinite().all()]
    _refuse("has values that are not finite in", infinite)


def is_whole(tensor: Tensor) -> bool:
    """Return whether a tensor has as many numbers in its file as its shape says.

    A view that repeats one number a billion times takes no room in a file, and all of it in a network.
    """
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        return False
    return tensor.untyped_storage().nbytes() >= tensor.numel() * tensor.element_size()


def _is_same_kind(found: torch.dtype, expected: torch.dtype) -> bool:
    return found == expected or (found.is_floating_point and expected.is_floating_point)


def _refuse(fault: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        raise StateError(f"{fault} {', '.join(name[:100] for name in names[:SHOWN])}{more}")
