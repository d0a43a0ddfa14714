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
        Random rankings behind the p-values; no p-value is below 1 / (null_size + 1).

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
    replicates = {
        label: np.flatnonzero(treated & (labels == label)) for label in np.unique(labels[treated])
    }
    precision = np.full(frame.height, np.nan)
    counts = np.zeros((frame.height, 2), np.int64)  # positives, negatives
    for _, rows in plates:
        queries = rows[treated[rows]]
        rivals = queries if negatives == "others" else rows[control[rows]]
        on_plate = np.zeros(frame.height, bool)
        on_plate[rows] = True
        for query, scores in _scores(cosine, queries, rivals):
            if negatives == "others":
                scores = scores[labels[rivals] != labels[query]]
            partners = replicates[labels[query]]
            partners = partners[partners != query]
            if positives != "all":
                partners = partners[on_plate[partners] == (positives == "same_plate")]
            counts[query] = partners.size, scores.size
            if partners.size and scores.size:
                found = cosine.between(np.array([query]), partners)[0]
                precision[query] = average_precision(found, scores)
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
    ordered = np.sort(positive)[::-1]
    ahead = negative.size - np.searchsorted(np.sort(negative), ordered, side="left")
    hits = np.arange(1, ordered.size + 1)
    return float(np.mean(hits / (hits + ahead)))


def _scores(
    cosine: Cosine, queries: np.ndarray, rivals: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, queries.size, _QUERIES_AT_ONCE):
        block = queries[start : start + _QUERIES_AT_ONCE]
        yield from zip(block.tolist(), cosine.between(block, rivals), strict=True)


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
        float(values.mean()), len(rows), float((q_values < 0.05).mean()), table, queries
    )
