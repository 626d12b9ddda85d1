"""The one table of all data sets: a row per radiograph, typed, in Parquet.

Tables that were converted from published ones leave empty what those do not hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from monai_chexmask_u.anatomy import NODE_COUNT, ORGANS

__all__ = [
    "COLUMNS",
    "FAILURE_SCHEMA",
    "FRAMES",
    "SCHEMA",
    "Column",
    "column_names",
    "completed",
    "is_complete_or_earlier",
    "mask_column",
    "rows_table",
]

FRAMES: Final = ("image", "preprocessed")
"""In which pixels a row's coordinates are: those of the image as stored, or of the published square of 1024."""


@dataclass(frozen=True)
class Column:
    """One column of the table: its name, type, and meaning in one sentence.

    Attributes:
        required: it is never empty.
        since: the first version of the table that has it.
    """

    name: str
    type: pa.DataType
    meaning: str
    required: bool = False
    since: int = 1


def _vector(length: int) -> pa.DataType:
    return pa.list_(pa.float32(), length)


def mask_column(organ_name: str) -> str:
    """Return the name of the column that holds an organ's mask."""
    return f"{organ_name}_mask"


_FLOAT, _INT, _TEXT = pa.float64(), pa.int32(), pa.string()
_INTERVAL = pa.list_(pa.float64(), 2)
_PAIRS, _NODES = 2 * NODE_COUNT, NODE_COUNT

COLUMNS: Final = (
    Column("image_id", _TEXT, "Name of the radiograph in its source; no two rows have the same.", required=True),
    Column(
        "image_path", _TEXT, "File of the radiograph below the folder of images; archive/member for one in an archive."
    ),
    Column("source", _TEXT, "Data set that the radiograph is from, such as CheXpert."),
    Column(
        "frame", _TEXT, "Pixels of the coordinates: image (as stored) or preprocessed (1024 x 1024).", required=True
    ),
    Column("height", _INT, "Rows of the frame."),
    Column("width", _INT, "Columns of the frame."),
    Column("crop_top", _INT, "First row of the part of the image that the network saw."),
    Column("crop_left", _INT, "First column of that part."),
    Column("crop_height", _INT, "Rows of that part."),
    Column("crop_width", _INT, "Columns of that part."),
    Column("spacing_row_mm", _FLOAT, "Height of a pixel in mm."),
    Column("spacing_column_mm", _FLOAT, "Width of a pixel in mm."),
    Column("view", _TEXT, "PA or AP, where the file says so."),
    Column("notes", pa.list_(_TEXT), "What was decided when the radiograph was read or its row converted."),
    Column("landmarks", _vector(_PAIRS), "x1, y1, ..., x120, y120: mean over the samples; (0, 0) is a pixel's center."),
    Column("landmarks_std", _vector(_PAIRS), "Standard deviations of x1, y1, ... over the samples."),
    Column("landmarks_cov_xy", _vector(_NODES), "Covariance of x and y of each landmark over the samples."),
    Column(
        "error_std", _vector(_PAIRS), "Standard deviations of x1, y1, ... that the calibration expects of the error."
    ),
    Column("error_cov_xy", _vector(_NODES), "Covariance of x and y of each landmark's expected error."),
    Column("radius90", _vector(_NODES), "Pixels around each landmark that hold the true one with 90 % probability."),
    Column("latent_mean", pa.list_(pa.float32()), "Mean of the latent Gaussian."),
    Column("latent_std", pa.list_(pa.float32()), "Standard deviation of the latent Gaussian."),
    *(
        Column(
            mask_column(organ.name),
            _TEXT,
            f"Mask of the {organ.title.lower()}: start length start length ..., row by row, counted from 1.",
        )
        for organ in ORGANS
    ),
    *(
        Column(f"{organ.name}_{name}", _FLOAT, meaning.format(organ.title.lower()))
        for organ in ORGANS
        for name, meaning in (
            ("area_px", "Area inside the outline of the {} in squared pixels."),
            ("area_std_px", "Standard deviation of that area over the samples."),
            ("area_mm2", "Area of the {} in mm2, where the spacing is known."),
            ("uncertainty_px", "Mean over the nodes of the {} of (std x + std y) / 2 over the samples."),
            ("total_uncertainty_px", "The same of the expected error."),
        )
    ),
    Column("cardiothoracic_ratio", _FLOAT, "Widest heart over widest inner thorax, mean over the samples."),
    Column("cardiothoracic_ratio_std", _FLOAT, "Its standard deviation over the samples."),
    Column(
        "cardiothoracic_ratio_interval90",
        _INTERVAL,
        "Interval that holds the true ratio with 90 % probability.",
        since=2,
    ),
    *(
        Column(
            f"{organ.name}_area_interval90_px",
            _INTERVAL,
            f"Interval that holds the true area of the {organ.title.lower()} with 90 % probability, in squared pixels.",
            since=2,
        )
        for organ in ORGANS
    ),
    Column("latent_uncertainty", _FLOAT, "Mean of latent_std, as published."),
    Column("predictive_px1024", _FLOAT, "Mean over the nodes of (std x + std y) / 2, in pixels of 1024, as published."),
    Column("total_px1024", _FLOAT, "The same of the expected error."),
    Column(
        "score", _FLOAT, "Ranks radiographs by uncertainty: total_px1024, or predictive_px1024 without a calibration."
    ),
    Column("verdict", _TEXT, "accept, review or reject."),
    Column("reasons", pa.list_(_TEXT), "Why the verdict is not accept."),
    Column("scores", pa.map_(_TEXT, _FLOAT), "How foreign the radiograph is to the network, by the name of the score."),
    Column("dice_rca_mean", _FLOAT, "Dice by reverse classification accuracy, mean over the references."),
    Column("dice_rca_max", _FLOAT, "The same, of the best reference."),
    Column("samples", _INT, "Number of latent samples."),
    Column("seed", pa.int64(), "Seed of the samples; `chexmask-u segment --seed` gives the same ones."),
    Column("image_sha256", _TEXT, "SHA-256 of the radiograph's file."),
    Column("model_name", _TEXT, "Name of the model."),
    Column("model_version", _TEXT, "Version of the model."),
    Column("model_sha256", _TEXT, "SHA-256 of the model's weights file."),
    Column("calibration_sha256", _TEXT, "SHA-256 of the model's calibration."),
)

SCHEMA: Final = pa.schema(
    [pa.field(column.name, column.type, nullable=not column.required) for column in COLUMNS],
    metadata={"chexmask-u": "dataset/2"},
)

FAILURE_SCHEMA: Final = pa.schema(
    [
        pa.field("image_id", _TEXT, nullable=False),
        pa.field("image_path", _TEXT),
        pa.field("code", _TEXT, nullable=False),
        pa.field("message", _TEXT, nullable=False),
    ],
    metadata={"chexmask-u": "dataset-failures/1"},
)


def column_names(names: Any = None) -> list[str]:
    """Return names of columns, all of them by default.

    Raises:
        ValueError: if there is no column of such a name.
    """
    every = [column.name for column in COLUMNS]
    chosen = every if names is None else list(names)
    unknown = [name for name in chosen if name not in every]
    if unknown:
        raise ValueError(f"there is no column {unknown[0]!r}; the columns are {', '.join(every)}")
    return chosen


def is_complete_or_earlier(schema: pa.Schema) -> bool:
    """Say whether a table has just the columns of this version, or those of an earlier one, in their order."""
    newest = max(column.since for column in COLUMNS)
    versions = ([column.name for column in COLUMNS if column.since <= version] for version in range(1, newest + 1))
    return schema.names in versions and all(field.equals(SCHEMA.field(field.name)) for field in schema)


def completed(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return columns of a table, those that an earlier version lacked with nothing in them."""
    columns = [
        table[name] if name in table.column_names else pa.nulls(len(table), SCHEMA.field(name).type) for name in names
    ]
    return pa.table(columns, schema=pa.schema([SCHEMA.field(name) for name in names]))


def rows_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows as a table of `SCHEMA`; columns that a row lacks are empty.

    Raises:
        ValueError: if a row has a column that the schema lacks.
    """
    for row in rows:
        unknown = set(row) - set(SCHEMA.names)
        if unknown:
            raise ValueError(f"there is no column {sorted(unknown)[0]!r}")
    columns = [pa.array([row.get(field.name) for row in rows], type=field.type) for field in SCHEMA]
    return pa.Table.from_arrays(columns, schema=SCHEMA)
