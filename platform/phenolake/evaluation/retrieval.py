"""Mean average precision: how well a query's replicates rank before its plate's other wells.

Wells are ranked by cosine similarity to a query well, plate by plate, in bounded memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from phenolake.errors import ConfigurationError, UnknownNameError
from phenolake.evaluation.confidence import UNKNOWN, Interval, bootstrap_interval
from phenolake.evaluation.retrieval_null import NullDistributions, adjusted_p_values
from phenolake.evaluation.similarity import Cosine, codes
from phenolake.profiling.feature_matrix import (
    chosen_rows,
    feature_columns,
    groups,
    key_columns,
    metadata_columns,
)

NEGATIVES = ("controls", "others")
POSITIVES = ("same_plate", "other_plates", "all")
_QUERIES_AT_ONCE = 512


@dataclass(frozen=True)
class MeanAveragePrecision:
    """Result of `mean_average_precision`.

    Attributes
    ----------
    value
        Mean of `mean_average_precision` over perturbations; NaN if none could be scored.
    n
        Perturbations scored.
    significant
        Share of them with `q_value` below 0.05.
    interval
        95 % confidence of `value` by bootstrap over perturbations.
    table
        A row per perturbation: `mean_average_precision`, `queries`, `p_value`, `q_value`
        (Benjamini-Hochberg).
    queries
        A row per query well: metadata, `average_precision` (NaN if it has no positive or no
        negative), `positives`, `negatives`.
    """

    value: float
    n: int
    significant: float
    table: pl.DataFrame
    queries: pl.DataFrame
    interval: Interval = UNKNOWN


def mean_average_precision(
    profiles: pl.DataFrame | pl.LazyFrame,
    perturbation: str = "Metadata_Perturbation",
    reference: pl.Expr | None = None,
    plate: str | Iterable[str] = ("Metadata_Plate",),
    negatives: Literal["controls", "others"] = "controls",
    positives: Literal["same_plate", "other_plates", "all"] = "same_plate",
    null_size: int = 10_000,
    seed: int = 0,
) -> MeanAveragePrecision:
    """Mean average precision of retrieving a perturbation's replicates.

    Parameters
    ----------
    profiles
        A row per well, normalized.
    perturbation
        Column that replicates share. Rows with null are not used.
    reference
        Expression that chooses control wells. They are never queries or positives; needed for
        `negatives="controls"`.
    plate
        Columns that name a plate (a barcode imaged twice needs its batch too).
    negatives
        `controls` of the query's own plate, or wells of `others` (other perturbations) on it.
    positives
        Replicates on the `same_plate`, on `other_plates`, or `all`.
    null_size, seed
        Random rankings behind the p-values; no p-value is below 1 / (null_size + 1), except where
        there are fewer rankings than that in all: those are listed and the p-value is exact.

    Raises
    ------
    ConfigurationError
        If controls are asked for without `reference`.
    UnknownNameError
        If a column or option does not exist.

    Notes
    -----
    Average precision is the mean, over a query's positives, of the precision at the rank of that
    positive. A negative that is exactly as similar as a positive ranks before it. Two profiles are
    compared on the features that both have.

    References
    ----------
    Kalinin et al., A versatile information retrieval framework for evaluating profile strength and
    similarity, Nat. Commun. 16:5181 (2025); package copairs.
    """
    if negatives not in NEGATIVES:
        raise UnknownNameError("kind of negatives", negatives, NEGATIVES)
    if positives not in POSITIVES:
        raise UnknownNameError("kind of positives", positives, POSITIVES)
    if negatives == "controls" and reference is None:
        raise ConfigurationError(
            "mean_average_precision: negatives='controls' needs `reference`, an expression that "
            "chooses the control wells"
        )
    frame = profiles.lazy().collect()
    plates = groups(frame, key_columns(frame, plate))
    labels = codes(frame, key_columns(frame, perturbation))
    control = chosen_rows(frame, pl.lit(False) if reference is None else reference)
    treated = ~control & frame[perturbation].is_not_null().to_numpy()
    cosine = Cosine(frame, feature_columns(frame))
    place = codes(frame, key_columns(frame, plate))
    precision = np.full(frame.height, np.nan)
    counts = np.zeros((frame.height, 2), np.int64)  # positives, negatives
    found: dict[int, np.ndarray] = {}  # query -> similarities of its positives
    for query, partners, similarity in _replicates(cosine, labels, treated):
        if positives == "all":
            found[query] = similarity
        else:
            wanted = (place[partners] == place[query]) == (positives == "same_plate")
            found[query] = similarity[wanted]
    rivals_of = _Rivals(cosine, labels, control, negatives)
    for _, rows in plates:
        for query, scores in rivals_of.each(rows[treated[rows]], rows):
            similarity = found.pop(query)
            counts[query] = similarity.size, scores.size
            if similarity.size and scores.size:
                precision[query] = _precision(similarity, scores)
    queries_table = (
        frame.select(metadata_columns(frame))
        .with_columns(
            pl.Series("average_precision", precision),
            pl.Series("positives", counts[:, 0]),
            pl.Series("negatives", counts[:, 1]),
        )
        .filter(pl.Series(treated))
    )
    return _summary(queries_table, perturbation, null_size, seed)


def average_precision(positive: np.ndarray, negative: np.ndarray) -> float:
    """Average precision of a ranking by score; on a tie the negative ranks first."""
    return _precision(positive, np.sort(negative))


def _precision(positive: np.ndarray, ordered_negative: np.ndarray) -> float:
    ordered = np.sort(positive)[::-1]
    ahead = ordered_negative.size - np.searchsorted(ordered_negative, ordered, side="left")
    hits = np.arange(1, ordered.size + 1)
    return float((hits / (hits + ahead)).mean())


@dataclass(frozen=True)
class _Rivals:
    """Similarities of queries to the negatives of their plate."""

    cosine: Cosine
    labels: np.ndarray
    control: np.ndarray
    negatives: str

    def each(self, queries: np.ndarray, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Query and its sorted scores, for queries and all rows of one plate."""
        rivals = queries if self.negatives == "others" else rows[self.control[rows]]
        for start in range(0, queries.size, _QUERIES_AT_ONCE):
            block = queries[start : start + _QUERIES_AT_ONCE]
            scores = self.cosine.between(block, rivals)
            if self.negatives == "controls":
                yield from zip(block.tolist(), np.sort(scores, axis=1), strict=True)
                continue
            for query, row in zip(block.tolist(), scores, strict=True):
                yield query, np.sort(row[self.labels[rivals] != self.labels[query]])


def _replicates(
    cosine: Cosine, labels: np.ndarray, treated: np.ndarray
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Each query, its replicates and their similarities, one perturbation after the other."""
    order = np.flatnonzero(treated)
    order = order[np.argsort(labels[order], kind="stable")]
    for members in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        for start in range(0, members.size, _QUERIES_AT_ONCE):
            block = members[start : start + _QUERIES_AT_ONCE]
            scores = cosine.between(block, members)
            for offset, query in enumerate(block.tolist()):
                yield (
                    query,
                    np.delete(members, start + offset),
                    np.delete(scores[offset], start + offset),
                )


def _summary(
    queries: pl.DataFrame, perturbation: str, null_size: int, seed: int
) -> MeanAveragePrecision:
    scored = queries.filter(pl.col("average_precision").is_not_nan())
    null = NullDistributions(null_size, seed)
    rows = []
    for (name,), wells in scored.group_by([perturbation], maintain_order=True):
        value = float(wells["average_precision"].to_numpy().mean())
        shapes = list(wells.select("positives", "negatives").iter_rows())
        rows.append((name, value, wells.height, null.p_value(value, shapes)))
    table = pl.DataFrame(
        rows,
        schema={
            perturbation: queries.schema[perturbation],
            "mean_average_precision": pl.Float64,
            "queries": pl.Int64,
            "p_value": pl.Float64,
        },
        orient="row",
    )
    q_values = adjusted_p_values(table["p_value"].to_numpy())
    table = table.with_columns(pl.Series("q_value", q_values, pl.Float64))
    if not rows:
        return MeanAveragePrecision(float("nan"), 0, float("nan"), table, queries)
    values = table["mean_average_precision"].to_numpy()
    return MeanAveragePrecision(
        float(values.mean()),
        len(rows),
        float((q_values < 0.05).mean()),
        table,
        queries,
        bootstrap_interval(values, np.arange(values.size), seed=seed),
    )
