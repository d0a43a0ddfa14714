"""Which unlabelled cells to label next, and the labels that come back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import polars as pl

from phenolake.errors import TrainingDataError, UnknownNameError
from phenolake.modeling.ensemble import Ensemble

Strategy = Literal["least_confident", "margin", "vote_entropy"]

LABEL = "label"
_SMALLEST = 1e-12


def labelling_queue(
    keys: pl.DataFrame,
    votes: np.ndarray,
    classes: tuple[str, ...],
    strategy: Strategy = "margin",
    count: int | None = None,
) -> pl.DataFrame:
    """Return unlabelled cells, the most instructive first, with `rank`, `priority` and `guess`.

    Parameters
    ----------
    keys
        Key columns of the cells.
    votes
        float, probabilities of each member, shape (member, n, class); of one model (n, class).
    classes
        Names in the order of the probabilities.
    strategy
        `least_confident`: 1 minus the largest mean probability. `margin`: 1 minus the lead of the
        first class over the second. `vote_entropy`: entropy (nats) of the members' first choices.
    count
        Length of the queue; by default all cells.

    Notes
    -----
    Equal priorities keep the order of the keys.

    Raises
    ------
    UnknownNameError
        If there is no such strategy.
    TrainingDataError
        If keys and votes differ in number, or votes of one member are to be compared.

    References
    ----------
    Settles (2009), "Active learning literature survey".
    """
    if strategy not in _PRIORITIES:
        raise UnknownNameError("strategy", strategy, get_args(Strategy))
    votes = votes[np.newaxis] if votes.ndim == 2 else votes
    if votes.shape[1:] != (keys.height, len(classes)):
        raise TrainingDataError(
            f"{keys.height} cells and {len(classes)} classes, but votes of shape {votes.shape}"
        )
    if strategy == "vote_entropy" and len(votes) < 2:
        raise TrainingDataError("vote_entropy compares members; give an ensemble of two or more")
    priority = _PRIORITIES[strategy](votes)
    guess = np.array(classes, dtype=object)[votes.mean(axis=0).argmax(axis=1)]
    order = np.argsort(-priority, kind="stable")[:count]
    return keys[order].with_columns(
        pl.Series("rank", np.arange(1, len(order) + 1), dtype=pl.Int32),
        pl.lit(strategy).alias("strategy"),
        pl.Series("priority", priority[order].astype(np.float32)),
        pl.Series("guess", guess[order].tolist(), dtype=pl.String),
    )


def member_votes(model: Ensemble, data: np.ndarray | pl.DataFrame) -> np.ndarray:
    """Return the probabilities of each member, shape (member, n, class)."""
    return model.votes(data)[0]


def read_annotations(
    path: Path, keys: Iterable[str], known: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return the labels of a CSV file: the key columns and `label`, rows without a label left out.

    Parameters
    ----------
    keys
        Columns that name a cell, or a well.
    known
        Frame with these keys: what labels may be given to.

    Raises
    ------
    TrainingDataError
        If the file can't be read, lacks a column, names a cell twice with two labels, or names one
        that does not exist.
    """
    names = list(keys)
    table = _texts(path)
    absent = [name for name in [*names, LABEL] if name not in table.columns]
    if absent:
        raise TrainingDataError(f"{path}: no column {', '.join(absent)}")
    labels = (
        table.select(pl.col(*names, LABEL).str.strip_chars())
        .filter(pl.col(LABEL).is_not_null() & (pl.col(LABEL) != ""))
        .unique(maintain_order=True)
    )
    if labels.is_empty():
        raise TrainingDataError(f"{path}: no row has a label")
    twice = labels.filter(labels.select(names).is_duplicated())
    if twice.height:
        raise TrainingDataError(f"{path}: two labels for {_named(twice, names)}")
    if known is None:
        return labels
    there = known.select(pl.col(names).cast(pl.String)).unique()
    missing = labels.join(there, on=names, how="anti")
    if missing.height:
        raise TrainingDataError(
            f"{path}: {missing.height} label(s) for what does not exist, such as "
            f"{_named(missing, names)}"
        )
    return labels.with_columns(pl.col(name).cast(known.schema[name]) for name in names)


def annotation_columns(path: Path) -> list[str]:
    """Return the columns of a CSV file of labels; raises `TrainingDataError` if it is unreadable."""
    return _texts(path).columns


def _texts(path: Path) -> pl.DataFrame:
    try:
        return pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise TrainingDataError(f"{path}: not a readable CSV ({error})") from error


def _named(rows: pl.DataFrame, names: list[str]) -> str:
    return " ".join(str(value) for value in rows.select(names).row(0))


def _least_confident(votes: np.ndarray) -> np.ndarray:
    return 1 - votes.mean(axis=0).max(axis=1)


def _margin(votes: np.ndarray) -> np.ndarray:
    ordered = np.sort(votes.mean(axis=0), axis=1)
    return 1 - (ordered[:, -1] - ordered[:, -2])


def _vote_entropy(votes: np.ndarray) -> np.ndarray:
    chosen = votes.argmax(axis=2)
    shares = np.stack([(chosen == code).mean(axis=0) for code in range(votes.shape[2])], axis=1)
    return np.maximum(-(shares * np.log(np.maximum(shares, _SMALLEST))).sum(axis=1), 0)


_PRIORITIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "least_confident": _least_confident,
    "margin": _margin,
    "vote_entropy": _vote_entropy,
}
