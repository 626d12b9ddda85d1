"""Settings that a client may choose for a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

__all__ = ["TrainingSettings"]

STARTS: Final = ("current", "shipped")


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of a training; their names are those that MONAI Label's clients know, where there is one.

    Attributes:
        max_epochs: passes over the radiographs.
        learning_rate: at its highest; the latent layers get a fifth of it.
        train_batch_size: radiographs per step.
        val_split: part of the labeled radiographs to hold out.
        replay_films: radiographs of the replay data set to mix in, if the server has one.
        start_from: ``current`` for the model in use, ``shipped`` for the one that ships with the project.
        label_tag: of the labels to learn from.
    """

    max_epochs: int = 20
    learning_rate: float = 2e-4
    train_batch_size: int = 2
    val_split: float = 0.25
    replay_films: int = 16
    start_from: str = "current"
    label_tag: str = "final"

    def __post_init__(self) -> None:
        """Check each number.

        Raises:
            ValueError: if one cannot be used; the message names it.
        """
        limits = {
            "max_epochs": (1, 10_000),
            "learning_rate": (1e-8, 1e6),
            "train_batch_size": (1, 1024),
            "val_split": (0.0, 0.5),
            "replay_films": (0, 1_000_000),
        }
        for name, (lowest, highest) in limits.items():
            value = getattr(self, name)
            if not lowest <= value <= highest:  # nor is NaN, or a whole number beyond all floats
                raise ValueError(f"{name} must be from {lowest:g} to {highest:g}, got {value}")
        if self.start_from not in STARTS:
            raise ValueError(f"start_from must be one of {', '.join(STARTS)}, got {self.start_from!r}")

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> TrainingSettings:
        """Take settings from a request, which may hold other things as well.

        A client that changes nothing may send a choice as the list that it was offered; its first entry counts.

        Raises:
            ValueError: if a setting cannot be used.
        """
        chosen: dict[str, Any] = {}
        for field in fields(cls):
            if field.name not in request:
                continue
            value: Any = request[field.name]
            kind: Any = type(field.default)
            value = value[0] if isinstance(value, list) and value else value
            try:
                chosen[field.name] = kind(value)
            except (TypeError, ValueError, OverflowError) as error:
                raise ValueError(f"{field.name} must be a {kind.__name__}, got {value!r}") from error
        return cls(**chosen)

    def as_config(self) -> dict[str, Any]:
        """Return the settings as clients show them: choices are lists with the one that is set first."""
        config = asdict(self)
        config["start_from"] = [self.start_from, *(start for start in STARTS if start != self.start_from)]
        return config
