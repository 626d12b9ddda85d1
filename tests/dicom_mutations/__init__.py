"""Damaged DICOM files for fuzzing: every file follows from the name of a seed and a number."""

from __future__ import annotations

from dicom_mutations.mutate import STRATEGIES, mutate, mutated
from dicom_mutations.seeds import SECRETS, seeds

__all__ = ["SECRETS", "STRATEGIES", "mutate", "mutated", "seeds"]
