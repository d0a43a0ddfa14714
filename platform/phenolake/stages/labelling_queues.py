"""Which cells of a screen to label next, from what its models said: rows of `labelling_queue`."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from phenolake.errors import TrainingDataError
from phenolake.modeling.active_learning import Strategy, labelling_queue

_CELL = [
    "Metadata_Screen",
    "Metadata_Plate",
    "Metadata_Well",
    "Metadata_Site",
    "Metadata_ObjectNumber",
]
_OF_ONE_MODEL: tuple[Strategy, ...] = ("least_confident", "margin")
_ORDER = ["model", "strategy"]
PREDICTION_COLUMNS = [*_CELL, "model_name", "model_version", "true_label", "probabilities"]


def screen_queue(
    plates: Iterable[pl.DataFrame], labelled: pl.DataFrame | None = None, count: int = 200
) -> pl.DataFrame:
    """The first `count` cells of each queue over all plates of a screen.

    Parameters
    ----------
    plates
        `PREDICTION_COLUMNS` of `model_predictions`, a frame for each plate; one is held at a time.
    labelled
        Cells that have a label from an annotator and are left out.

    Notes
    -----
    Each model has a queue by `least_confident` and one by `margin`. Models with the same classes
    make a committee, whose queue is by `vote_entropy`; cells of a plate it is equally divided on
    come in the order of their margin.
    """
    first = [plate_queue(_unlabelled(plate, labelled), count) for plate in plates]
    queue = pl.concat([rows for rows in first if rows.height] or [pl.DataFrame()])
    if queue.is_empty():
        return queue
    return (
        queue.sort("priority", "rank", descending=[True, False], maintain_order=True)
        .group_by(_ORDER, maintain_order=True)
        .head(count)
        .with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over(_ORDER).alias("rank"))
        .sort(*_ORDER, "rank")
    )


def plate_queue(predictions: pl.DataFrame, count: int) -> pl.DataFrame:
    """The first `count` cells of each queue of one plate."""
    cells: dict[str, pl.DataFrame] = {}
    votes: dict[str, np.ndarray] = {}
    classes: dict[str, tuple[str, ...]] = {}
    models = predictions.sort(_CELL).group_by("model_name", "model_version", maintain_order=True)
    for (name, version), rows in models:
        model = f"{name}/{version}"
        named = rows["probabilities"].explode().struct.unnest()
        size = len(rows["probabilities"][0])
        cells[model], classes[model] = rows, tuple(named["class"][:size])
        votes[model] = named["probability"].to_numpy().reshape(rows.height, size)
    queues = [
        _queue(cells[model], votes[model], classes[model], strategy, model, count)
        for model in cells
        for strategy in _OF_ONE_MODEL
    ]
    for together in set(classes.values()):
        members = sorted(model for model, own in classes.items() if own == together)
        judged = [cells[model].select(_CELL) for model in members]
        if len(members) > 1 and all(keys.equals(judged[0]) for keys in judged[1:]):
            both = np.stack([votes[model] for model in members])
            rows, name = cells[members[0]], "+".join(members)
            closest = _by_margin(both)
            queues.append(
                _queue(rows[closest], both[:, closest], together, "vote_entropy", name, count)
            )
    return pl.concat(queues) if queues else pl.DataFrame()


def queue_to_label(
    queue: pl.DataFrame, strategy: str, model: str | None = None, count: int | None = None
) -> pl.DataFrame:
    """One queue as a sheet to fill in: keys, an empty `label`, and what the model thinks.

    Parameters
    ----------
    model
        Registered name, with or without a version; by default the first one with this strategy.

    Raises
    ------
    TrainingDataError
        If there is no such queue.
    """
    chosen = queue.filter(pl.col("strategy") == strategy)
    if model is not None:
        chosen = chosen.filter(
            (pl.col("model") == model) | pl.col("model").str.starts_with(f"{model}/")
        )
    if chosen.is_empty():
        there = queue.select(pl.format("{} of {}", "strategy", "model")).unique().to_series()
        raise TrainingDataError(
            f"no queue by {strategy}{f' of {model}' if model else ''}; "
            f"there are: {', '.join(there.sort()) or 'none, materialize labelling_queue'}"
        )
    one = chosen.filter(pl.col("model") == chosen["model"].min()).sort("rank")[:count]
    return one.select(
        *_CELL, pl.lit(None, pl.String).alias("label"), "rank", "guess", "current_label", "model"
    )


def _queue(
    rows: pl.DataFrame,
    votes: np.ndarray,
    classes: tuple[str, ...],
    strategy: Strategy,
    model: str,
    count: int,
) -> pl.DataFrame:
    keys = rows.select(*_CELL, pl.col("true_label").alias("current_label"))
    queue = labelling_queue(keys, votes, classes, strategy, count)
    return queue.with_columns(pl.lit(model).alias("model"))


def _by_margin(votes: np.ndarray) -> np.ndarray:
    ordered = np.sort(votes.mean(axis=0), axis=1)
    return np.argsort(ordered[:, -1] - ordered[:, -2], kind="stable")


def _unlabelled(predictions: pl.DataFrame, labelled: pl.DataFrame | None) -> pl.DataFrame:
    if labelled is None:
        return predictions
    return predictions.join(labelled, on=_CELL, how="anti")
