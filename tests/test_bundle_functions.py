"""What the bundle's configurations call."""

from __future__ import annotations

import pytest

from monai_chexmask_u.bundle_functions import is_true


@pytest.mark.parametrize("value", ["no", "off", "", None, 2])
def test_a_switch_that_says_neither_true_nor_false_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="skip_connections: expected true or false"):
        is_true("skip_connections", value)


@pytest.mark.parametrize("value", [False, "false", "False", 0, "0"])
def test_false_is_false_however_it_is_written(value: object) -> None:
    assert not is_true("skip_connections", value)
    assert is_true("skip_connections", "true")
