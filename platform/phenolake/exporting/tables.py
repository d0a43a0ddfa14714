"""A table as Parquet, CSV or AnnData; the file's name says which."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from phenolake.errors import ConfigurationError, LibraryMissingError
from phenolake.profiling.feature_matrix import feature_columns, matrix, metadata_columns

SUFFIXES = (".parquet", ".csv", ".h5ad")


def write_table(rows: pl.DataFrame, out: Path, about: Mapping[str, str] | None = None) -> None:
    """Write rows to a file whose suffix names the format.

    Parameters
    ----------
    rows
        Metadata columns start with `Metadata_`. Packed images are left out of CSV and AnnData.
    out
        `.parquet` for pycytominer, copairs, pandas and polars; `.csv` for spreadsheets; `.h5ad`
        for scanpy and anndata: features are `X`, metadata `obs`.
    about
        Facts kept in an AnnData file's `uns`.

    Raises
    ------
    ConfigurationError
        If the suffix is another.
    LibraryMissingError
        If AnnData is asked for and not installed.
    """
    if out.suffix == ".parquet":
        rows.write_parquet(out)
    elif out.suffix == ".csv":
        flat = rows.select(pl.all().exclude(pl.Binary))
        nested = [name for name, dtype in flat.schema.items() if dtype.is_nested()]
        flat.with_columns(_as_text(flat[name]) for name in nested).write_csv(out)
    elif out.suffix == ".h5ad":
        _write_anndata(rows, out, about or {})
    else:
        raise ConfigurationError(f"{out.name}: give a name that ends in {', '.join(SUFFIXES)}")


def _as_text(values: pl.Series) -> pl.Series:
    import json

    words = [None if v is None else json.dumps(v) for v in values.to_list()]
    return pl.Series(values.name, words, pl.String)


def _write_anndata(rows: pl.DataFrame, out: Path, about: Mapping[str, str]) -> None:
    try:
        import anndata
    except ImportError as error:
        raise LibraryMissingError("anndata", "an .h5ad file", "export") from error
    import pandas as pd

    numbers = [n for n, t in rows.schema.items() if n.startswith("Metadata_") or t.is_numeric()]
    rows = rows.select(numbers)
    features, metadata = feature_columns(rows), metadata_columns(rows)
    names = [name for name in metadata if not rows.schema[name].is_nested()]

    def column(values: pl.Series) -> object:
        if values.dtype.is_numeric():
            return values.cast(pl.Float64).to_numpy() if values.null_count() else values.to_numpy()
        # AnnData writes text as categories, of Python strings alone.
        words = values.cast(pl.String).fill_null("").to_list()
        return pd.Categorical(words, categories=pd.Index(sorted(set(words)), dtype=object))

    frame = pd.DataFrame(
        {name: column(rows[name]) for name in names},
        index=pd.Index(_row_names(rows.select(names)), dtype=object),
    )
    var = pd.DataFrame(
        {
            name: column(pl.Series(words, dtype=pl.String))
            for name, words in _parts_of(features).items()
        },
        index=pd.Index(features, dtype=object),
    )
    values = np.ascontiguousarray(matrix(rows, features, np.float32).T)
    anndata.AnnData(values, obs=frame, var=var, uns=dict(about)).write_h5ad(out)


def _row_names(metadata: pl.DataFrame) -> list[str]:
    """Names of rows from their keys; those that several rows share are numbered."""
    keys = [
        f"Metadata_{name}" for name in
        ("Screen", "Plate", "Well", "Site", "ObjectNumber", "Perturbation", "Concentration")
    ]  # fmt: skip
    known = [name for name in keys if name in metadata.columns]
    named = metadata.select(
        pl.concat_str([pl.col(n).cast(pl.String).fill_null("") for n in known], separator=":")
    ).to_series()
    count = pl.int_range(pl.len()).over("name")
    rows = named.alias("name").to_frame().with_columns(count.alias("n"))
    return [name if n == 0 else f"{name}:{n}" for name, n in rows.iter_rows()]


def _parts_of(features: list[str]) -> dict[str, list[str]]:
    parts = [[*name.split("_"), "", ""][:2] for name in features]
    return {"compartment": [p[0] for p in parts], "family": [p[1] for p in parts]}
