"""The numbers of a profile table as one matrix, (feature, row), and back.

Features come first because polars stores columns: each row of the matrix is one column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from phenolake.errors import ConfigurationError, UnknownNameError

METADATA = "Metadata_"


def feature_columns(frame: pl.DataFrame | pl.LazyFrame) -> list[str]:
    """Names of the feature columns, in order: all that don't start with `Metadata_`.

    Raises
    ------
    ConfigurationError
        If such a column does not hold numbers.
    """
    schema = frame.collect_schema()
    features = [name for name in schema if not name.startswith(METADATA)]
    for name in features:
        if not (schema[name].is_numeric() or schema[name] in (pl.Boolean, pl.Null)):
            raise ConfigurationError(
                f"column {name!r} holds {schema[name]}, not numbers; "
                f"rename it to {METADATA}{name} or leave it out"
            )
    return features


def metadata_columns(frame: pl.DataFrame | pl.LazyFrame) -> list[str]:
    """Names of the columns that start with `Metadata_`, in order."""
    return [name for name in _names(frame) if name.startswith(METADATA)]


def key_columns(frame: pl.DataFrame | pl.LazyFrame, names: str | Iterable[str]) -> list[str]:
    """Return `names` as a list; `UnknownNameError` offers the columns there are."""
    names = [names] if isinstance(names, str) else list(names)
    known = _names(frame)
    unknown = set(names).difference(known)
    for name in names:
        if name in unknown:
            raise UnknownNameError("column", name, known)
    return names


def _names(frame: pl.DataFrame | pl.LazyFrame) -> list[str]:
    """Names of the columns; their types, which a wide frame takes long to tell, are not asked for."""
    return frame.columns if isinstance(frame, pl.DataFrame) else frame.collect_schema().names()


def matrix(
    frame: pl.DataFrame,
    features: Sequence[str],
    dtype: type[np.floating] = np.float64,
    rows: np.ndarray | None = None,
) -> np.ndarray:
    """Values of the features, shape (feature, row), C order, a copy; null is NaN.

    `rows` are numbers of the rows to take, in that order; None takes all.
    """
    values = np.empty((len(features), frame.height if rows is None else rows.size), dtype)
    number = pl.Float64 if dtype is np.float64 else pl.Float32
    for index, name in enumerate(features):
        column = frame.get_column(name).cast(number).to_numpy()
        values[index] = column if rows is None else column[rows]
    return values


def with_matrix(
    metadata: pl.DataFrame, features: Sequence[str], values: np.ndarray
) -> pl.DataFrame:
    """Metadata columns followed by the features of a (feature, row) matrix, float64.

    The columns share the memory of a float64 matrix in C order, which must not be changed after.
    """
    rows = np.ascontiguousarray(values, np.float64)
    # An Arrow array wraps a row of the matrix; made from numpy, a column would be a copy.
    columns = [pl.Series(name, pa.array(row)) for name, row in zip(features, rows, strict=True)]
    return metadata.hstack(columns) if metadata.width else pl.DataFrame(columns)


def groups(frame: pl.DataFrame, by: Sequence[str]) -> list[tuple[dict[str, object], np.ndarray]]:
    """Row numbers of each group, in order of first appearance; one group when `by` is empty."""
    if not by:
        return [({}, np.arange(frame.height))] if frame.height else []
    table = frame.select(by).with_row_index("__row").group_by(by, maintain_order=True).agg("__row")
    return [
        ({name: row[name] for name in by}, np.asarray(row["__row"], np.int64))
        for row in table.iter_rows(named=True)
    ]


def chosen_rows(frame: pl.DataFrame, reference: pl.Expr | None) -> np.ndarray:
    """Rows that a polars expression chooses, bool; all rows for None; null counts as false."""
    if reference is None:
        return np.ones(frame.height, bool)
    chosen = frame.with_columns(reference.fill_null(False).alias("__chosen")).get_column("__chosen")
    return chosen.cast(pl.Boolean).to_numpy()


def group_name(key: dict[str, object]) -> str:
    """Name a group in words, such as `plate P1`, for messages."""
    words = [f"{name.removeprefix(METADATA).lower()} {value}" for name, value in key.items()]
    return ", ".join(words) or "the whole table"
