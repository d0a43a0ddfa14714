"""What registered models say about every cell of a screen, and about its wells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from phenolake.identity import PlateKey
from phenolake.lake import Lake
from phenolake.modeling.prediction import UNKNOWN, LoadedModel, predict
from phenolake.stages.crop_sets import stored_crops
from phenolake.stages.training_sets import CELL_KEYS, WELL_KEYS

_WELL = ["Metadata_Screen", "Metadata_Batch", "Metadata_Plate", "Metadata_Well"]
_MODEL = ["model_name", "model_version"]


@dataclass(frozen=True)
class AppliedModel:
    """A model and how it is applied to a screen.

    `parts`: Metadata_Plate, Metadata_Well and `split`, the part each well had in the training.
    `dropout_passes`: see `predict`. `unknown_above`: novelty above which a cell is called unknown,
    for a model that has no threshold of its own.
    """

    model: LoadedModel
    parts: pl.DataFrame
    dropout_passes: int = 0
    unknown_above: float | None = None

    @property
    def threshold(self) -> float | None:
        """Novelty above which a cell is called unknown; none if nobody set one."""
        own = getattr(self.model.model, "unknown_above", None)
        return self.unknown_above if own is None else float(own)


def plate_predictions(
    lake: Lake, key: PlateKey, applied: AppliedModel, wells: pl.DataFrame
) -> Iterator[pa.Table]:
    """Rows of `model_predictions` for the cells of a plate, a batch at a time.

    `wells` are Metadata_Plate, Metadata_Well and `label` of labelled wells.

    Raises
    ------
    TrainingDataError
        If the plate lacks features of the model, or its crops are of another size.
    """
    for keys, data in _cells(lake, key, applied.model.takes):
        if keys.height:
            yield prediction_rows(keys, data, applied, wells)


def _cells(
    lake: Lake, key: PlateKey, takes: str
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame | np.ndarray]]:
    """Key columns and what a model takes of the plate's cells."""
    if takes == "crops":
        yield from stored_crops(lake, key.where)
        return
    for batch in lake.batches("single_cell_features", key.where):
        cells = pl.DataFrame(batch)
        yield cells.select(CELL_KEYS), cells.select(pl.exclude("^Metadata_.*$"))


def prediction_rows(
    keys: pl.DataFrame, data: np.ndarray | pl.DataFrame, applied: AppliedModel, wells: pl.DataFrame
) -> pa.Table:
    """Rows of `model_predictions` for some cells: their key columns, and features or crops."""
    model = applied.model
    said = predict(data, model, dropout_passes=applied.dropout_passes)
    columns = [f"probability_{name}" for name in model.classes]
    values = said.select(columns).to_numpy()
    votes = [
        said[name] if name in said.columns else pl.lit(None, pl.Float32).alias(name)
        for name in ("expected_entropy", "mutual_information")
    ]
    rows = (
        keys.select(CELL_KEYS)
        .join(wells, on=WELL_KEYS, how="left", maintain_order="left")
        .join(applied.parts, on=WELL_KEYS, how="left", maintain_order="left")
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
            _label_or_unknown(said, applied.threshold),
            *votes,
        )
    )
    return rows.to_arrow().append_column("probabilities", _by_class(values, model.classes))


def well_rows(cells: pl.LazyFrame) -> pl.DataFrame:
    """Rows of `well_predictions`: the rows of `model_predictions` of each well, taken together."""
    keys = [*_WELL, *_MODEL]
    wells = (
        cells.group_by(keys)
        .agg(
            pl.len().cast(pl.Int64).alias("cells"),
            pl.col("true_label", "split").first(),
            pl.col("entropy", "mutual_information", "novelty").mean(),
            (pl.col("label_or_unknown") == UNKNOWN).mean().cast(pl.Float32).alias("unknown_share"),
        )
        .collect(engine="streaming")
    )
    each = pl.col("probabilities").struct
    classes = (
        cells.select(*keys, "label", "probabilities")
        .explode("probabilities")
        .with_columns(each.field("class"), each.field("probability"))
        .group_by(*keys, "class")
        .agg(
            pl.col("probability").mean(),
            (pl.col("label") == pl.col("class")).mean().cast(pl.Float32).alias("share"),
            (pl.col("label") == pl.col("class")).sum().cast(pl.Int64).alias("cells"),
        )
        .collect(engine="streaming")
        .sort(*keys, "class")
    )
    likeliest = (
        classes.sort("probability", descending=True, maintain_order=True)
        .unique(keys, keep="first", maintain_order=True)
        .select(*keys, pl.col("class").alias("label"), "probability", label_share="share")
    )
    listed = classes.group_by(keys).agg(
        pl.struct("class", "probability", "share", "cells").alias("classes")
    )
    # A screen without batches has null in a key column.
    judged = wells.join(likeliest, on=keys, nulls_equal=True)
    return judged.join(listed, on=keys, nulls_equal=True).sort(keys)


def _label_or_unknown(said: pl.DataFrame, threshold: float | None) -> pl.Expr:
    if threshold is None:
        return pl.lit(None, pl.String).alias("label_or_unknown")
    called = pl.when(said["novelty"] > threshold).then(pl.lit(UNKNOWN)).otherwise(said["label"])
    return called.alias("label_or_unknown")


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
