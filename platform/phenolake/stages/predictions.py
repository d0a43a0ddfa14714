"""What registered models say about every cell of a screen, and about its wells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from phenolake.compute import Compute
from phenolake.errors import TrainingDataError
from phenolake.identity import PlateKey
from phenolake.lake import Lake
from phenolake.modeling.prediction import UNKNOWN, LoadedModel, predict
from phenolake.modeling.run_files import inputs_of
from phenolake.screens.config import ScreenConfig
from phenolake.stages.crop_sets import stored_crops
from phenolake.stages.training_sets import CELL_KEYS, WELL_KEYS
from phenolake.stages.whole_fields import plate_fields, plate_sites

_WELL = ["Metadata_Screen", "Metadata_Batch", "Metadata_Plate", "Metadata_Well"]
_MODEL = ["model_name", "model_version"]


@dataclass(frozen=True)
class AppliedModel:
    """A model and how it is applied to a screen.

    `parts`: Metadata_Plate, Metadata_Well and `split`, the part each well had in the training.
    `truth`: `label` and the key columns of the labelled wells or cells, see `true_labels`.
    `dropout_passes`: see `predict`. `unknown_above`: novelty above which a cell is called unknown,
    for a model that has no threshold of its own.
    """

    model: LoadedModel
    parts: pl.DataFrame
    truth: pl.DataFrame
    dropout_passes: int = 0
    unknown_above: float | None = None

    @property
    def threshold(self) -> float | None:
        """Novelty above which a cell is called unknown; none if nobody set one."""
        own = getattr(self.model.model, "unknown_above", None)
        return self.unknown_above if own is None else float(own)


def plate_predictions(lake: Lake, key: PlateKey, applied: AppliedModel) -> Iterator[pa.Table]:
    """Rows of `model_predictions` for the cells of a plate, a batch at a time.

    Raises
    ------
    TrainingDataError
        If the plate lacks features of the model, or its crops are of another size.
    """
    for keys, data in _cells(lake, key, applied.model.takes):
        if keys.height:
            yield prediction_rows(keys, data, applied)


def field_predictions_of(
    lake: Lake, key: PlateKey, applied: AppliedModel, config: ScreenConfig, compute: Compute
) -> Iterator[pa.Table]:
    """Rows of `field_predictions` for the usable fields of a plate, some at a time.

    Raises
    ------
    TrainingDataError
        If the model takes no images, other channels, or fields are smaller than it takes.
    """
    _, shape = inputs_of(applied.model.model)
    if shape is None:
        raise TrainingDataError(
            f"{applied.model.name}/{applied.model.version} takes features, no whole fields"
        )
    sites = plate_sites(lake, key, config)
    for keys, fields in plate_fields(lake, key, sites, config, compute, shape[1]):
        yield prediction_rows(keys, fields, applied)


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
    keys: pl.DataFrame, data: np.ndarray | pl.DataFrame, applied: AppliedModel
) -> pa.Table:
    """Rows of `model_predictions` for some cells, or of `field_predictions` for some fields.

    `keys` are their key columns, `data` features, crops or small images of the fields.
    """
    model = applied.model
    said = predict(data, model, dropout_passes=applied.dropout_passes)
    columns = [f"probability_{name}" for name in model.classes]
    values = said.select(columns).to_numpy()
    votes = [
        said[name] if name in said.columns else pl.lit(None, pl.Float32).alias(name)
        for name in ("expected_entropy", "mutual_information")
    ]
    place = [name for name in applied.truth.columns if name != "label"]
    rows = (
        keys.join(applied.truth, on=place, how="left", maintain_order="left")
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
    """Rows of `well_predictions`: what a model said of the cells, or fields, of each well together.

    A well has a true label where all that was judged in it has the same one.
    """
    keys = [*_WELL, *_MODEL]
    wells = (
        cells.group_by(keys)
        .agg(
            pl.len().cast(pl.Int64).alias("cells"),
            pl.when(pl.col("true_label").n_unique() == 1)
            .then(pl.col("true_label").first())
            .alias("true_label"),
            pl.col("split").first(),
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
