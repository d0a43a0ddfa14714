"""What registered models say about every cell of a screen: rows of `model_predictions`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl
import pyarrow as pa

from phenolake.modeling.prediction import LoadedModel, predict
from phenolake.stages.training_sets import CELL_KEYS, WELL_KEYS


def prediction_rows(
    keys: pl.DataFrame,
    data: np.ndarray | pl.DataFrame,
    model: LoadedModel,
    wells: pl.DataFrame,
    parts: pl.DataFrame,
) -> pa.Table:
    """Rows of `model_predictions` for some cells.

    Parameters
    ----------
    keys
        Key columns of the cells.
    data
        Their features (for a forest) or crops (for a network), in the same order.
    wells
        Metadata_Plate, Metadata_Well and `label` of labelled wells.
    parts
        Metadata_Plate, Metadata_Well and `split`: the part each well had in the training.
    """
    said = predict(data, model)
    columns = [f"probability_{name}" for name in model.classes]
    values = said.select(columns).to_numpy()
    rows = (
        keys.select(CELL_KEYS)
        .join(wells, on=WELL_KEYS, how="left", maintain_order="left")
        .join(parts, on=WELL_KEYS, how="left", maintain_order="left")
        .rename({"label": "true_label"})
        .with_columns(
            pl.lit(model.name).alias("model_name"),
            pl.lit(model.version).alias("model_version"),
            pl.lit(model.run_id).alias("mlflow_run_id"),
            said["label"],
            pl.Series("probability", values.max(axis=1).astype(np.float32)),
            said["uncertainty"].alias("entropy"),
            pl.col("split").fill_null("unseen"),
            said["novelty"].cast(pl.Float32),
        )
    )
    return rows.to_arrow().append_column("probabilities", _by_class(values, model.classes))


def forest_predictions(
    batches: Iterable[pl.DataFrame], model: LoadedModel, wells: pl.DataFrame, parts: pl.DataFrame
) -> Iterator[pa.Table]:
    """Predictions of a forest for batches of `single_cell_features`."""
    for batch in batches:
        if batch.height:
            features = batch.select(pl.exclude("^Metadata_.*$"))
            yield prediction_rows(batch.select(CELL_KEYS), features, model, wells, parts)


def network_predictions(
    site_crops: Iterable[tuple[pl.DataFrame, np.ndarray]],
    model: LoadedModel,
    wells: pl.DataFrame,
    parts: pl.DataFrame,
) -> Iterator[pa.Table]:
    """Predictions of a network for the crops of each site."""
    for keys, crops in site_crops:
        if keys.height:
            yield prediction_rows(keys, crops, model, wells, parts)


def _by_class(values: np.ndarray, classes: tuple[str, ...]) -> pa.Array:
    """Probabilities as one list of (class, probability) for each cell."""
    count = len(classes)
    pairs = pa.StructArray.from_arrays(
        [
            pa.array(list(classes) * len(values), pa.string()),
            pa.array(values.astype(np.float32).ravel()),
        ],
        names=["class", "probability"],
    )
    offsets = pa.array(np.arange(0, count * len(values) + 1, count, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, pairs)
