"""Damaged DICOM files for fuzzing: every file follows from the name of a seed and a number."""

from __future__ import annotations

from support.mutations.mutate import STRATEGIES, mutate, mutated
from support.mutations.seeds import SECRETS, seeds

__all__ = ["SECRETS", "STRATEGIES", "mutate", "mutated", "seeds"]
