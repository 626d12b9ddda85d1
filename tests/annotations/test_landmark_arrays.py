"""Landmarks as arrays: written, read back, and refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from monai_chexmask_u.anatomy import HEART
from monai_chexmask_u.annotations.landmark_files import read_arrays, write_arrays

LANDMARKS = np.random.default_rng(0).uniform(0, 1024, (2, 120, 2))


def test_written_landmarks_are_read_back_in_their_order_with_unknown_organs(tmp_path: Path) -> None:
    lungs_only = LANDMARKS[1].copy()
    lungs_only[HEART.nodes] = np.nan
    write_arrays(tmp_path / "landmarks.npz", {"b": LANDMARKS[0], "a": lungs_only})
    found = read_arrays(tmp_path / "landmarks.npz")
    assert list(found) == ["b", "a"]
    np.testing.assert_array_equal(found["b"], LANDMARKS[0].astype(np.float32))
    np.testing.assert_array_equal(found["a"], lungs_only.astype(np.float32))
    assert [path.name for path in tmp_path.iterdir()] == ["landmarks.npz"]


def test_what_could_not_be_read_is_not_written_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "landmarks.npz"
    write_arrays(path, {"a": LANDMARKS[0]})
    before = path.read_bytes()
    torn = LANDMARKS[0].copy()
    torn[3] = np.nan
    with pytest.raises(ValueError, match="image 'a' has 43 landmarks of the right lung instead of 44"):
        write_arrays(path, {"a": torn})
    with pytest.raises(ValueError, match="there are no landmarks to write"):
        write_arrays(path, {})
    assert path.read_bytes() == before
