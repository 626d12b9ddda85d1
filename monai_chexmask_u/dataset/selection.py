"""Which rows of a data set are wanted: by quality, uncertainty, verdict, and where the radiographs are from."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.dataset.folder import DatasetError
from monai_chexmask_u.dataset.sources import source_called

__all__ = ["VERDICTS", "Selection", "check_columns", "parse_limits"]

VERDICTS: Final = ("accept", "review", "reject")


@dataclass(frozen=True)
class Selection:
    """Limits that a row has to keep; a row in which a value is not known does not keep its limit.

    Attributes:
        min_rca: least Dice by reverse classification accuracy; CheXmask's authors use 0.7.
        rca: ``mean`` over the references, or ``max``, that of the best one.
        max_score: greatest score, in pixels of a 1024-pixel image.
        max_uncertainty: greatest mean uncertainty of an organ's landmarks, by the organ's name, in pixels of the row's
            frame.
        verdicts: any of these.
        sources: any of these data sets, by name or title.

    Raises:
        ValueError: if a limit or name makes no sense.
    """

    min_rca: float | None = None
    rca: str = "mean"
    max_score: float | None = None
    max_uncertainty: Mapping[str, float] = field(default_factory=dict)
    verdicts: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check names and numbers."""
        for limit in (self.min_rca, self.max_score, *self.max_uncertainty.values()):
            if limit is not None and not math.isfinite(limit):
                raise ValueError(f"a limit must be a number, got {limit}")
        _one_of("RCA", self.rca, ("mean", "max"))
        for verdict in self.verdicts:
            _one_of("verdict", verdict, VERDICTS)
        for organ in self.max_uncertainty:
            _one_of("organ", organ, tuple(each.name for each in ORGANS))
        for source in self.sources:
            source_called(source)

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return bool(self._limits())

    @property
    def columns(self) -> list[str]:
        """The columns that the limits are about."""
        return list(self._limits())

    @property
    def expression(self) -> pc.Expression | None:
        """The limits for Arrow's filters, or None if there are none."""
        limits = list(self._limits().values())
        return functools.reduce(lambda one, other: one & other, limits) if limits else None

    @property
    def settings(self) -> dict[str, Any]:
        """The limits as JSON types; only those that were set."""
        settings = {name: value for name, value in asdict(self).items() if value not in (None, (), {})}
        if self.min_rca is None:
            del settings["rca"]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}

    def _limits(self) -> dict[str, pc.Expression]:
        limits: dict[str, pc.Expression] = {}
        if self.min_rca is not None:
            limits[f"dice_rca_{self.rca}"] = pc.field(f"dice_rca_{self.rca}") >= self.min_rca
        if self.max_score is not None:
            limits["score"] = pc.field("score") <= self.max_score
        for organ, limit in self.max_uncertainty.items():
            limits[f"{organ}_uncertainty_px"] = pc.field(f"{organ}_uncertainty_px") <= limit
        if self.verdicts:
            limits["verdict"] = pc.field("verdict").isin(list(self.verdicts))
        if self.sources:
            limits["source"] = pc.field("source").isin([source_called(name).title for name in self.sources])
        return limits


def _one_of(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"there is no {what} {value!r}; known are {', '.join(allowed)}")


def parse_limits(texts: list[str]) -> dict[str, float]:
    """Read limits of organs such as ``heart=12.5``.

    Raises:
        ValueError: if one is no organ with a number.

    Example:
        >>> parse_limits(["heart=12.5"])
        {'heart': 12.5}
    """
    limits: dict[str, float] = {}
    for text in texts:
        organ, _, limit = text.partition("=")
        try:
            limits[organ.strip()] = float(limit)
        except ValueError as error:
            raise ValueError(f"{text!r} must be an organ and its limit, such as heart=12.5") from error
    return limits


def check_columns(data: pa.Schema | ds.Dataset, names: list[str]) -> None:
    """See that a filter's columns are there and hold something, since without them no row would be left.

    Args:
        data: a data set, or the columns alone.
        names: of the columns.

    Raises:
        DatasetError: if one is missing, or empty in all rows.
    """
    schema = data if isinstance(data, pa.Schema) else data.schema
    for name in names:
        if name not in schema.names:
            raise DatasetError(
                f"there is no column {name!r}, so that rows cannot be chosen by it; leave this filter out"
            )
    if isinstance(data, pa.Schema) or not names or not data.count_rows():
        return
    for name in names:
        if not data.count_rows(filter=pc.field(name).is_valid()):
            raise DatasetError(f"the column {name!r} is empty in all rows; leave this filter out")
