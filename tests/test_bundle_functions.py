"""What the bundle's configurations call."""

from __future__ import annotations

import pytest
import torch

from monai_chexmask_u.bundle_functions import computes_in_bfloat16, is_true


@pytest.mark.parametrize("value", ["no", "off", "", None, 2])
def test_a_switch_that_says_neither_true_nor_false_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="skip_connections: expected true or false"):
        is_true("skip_connections", value)


@pytest.mark.parametrize("value", [False, "false", "False", 0, "0"])
def test_false_is_false_however_it_is_written(value: object) -> None:
    assert not is_true("skip_connections", value)
    assert is_true("skip_connections", "true")


@pytest.mark.parametrize(
    ("capabilities", "expected"), [({"avx2": True}, False), ({"amx_bf16": True}, True), ({}, False)]
)
def test_processors_compute_in_bfloat16_only_with_its_instructions(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert computes_in_bfloat16(torch.device("cpu")) is expected
    assert computes_in_bfloat16(torch.device("cuda"))
