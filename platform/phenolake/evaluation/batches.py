"""How much of a profile table is batch and how much is biology."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from phenolake.evaluation.mechanism import SCHEMES, moa_accuracy
from phenolake.evaluation.similarity import Cosine, codes
from phenolake.profiling.feature_matrix import feature_columns, key_columns
from phenolake.profiling.replicates import consensus


@dataclass(frozen=True)
class BatchScores:
    """Result of `batch_scores`; NaN where the table can't tell.

    Attributes
    ----------
    same_batch_neighbours
        Share of wells whose nearest well (cosine) is of the same batch.
    same_batch_by_chance
        That share if neighbours were drawn at random.
    batch_silhouette
        Mean silhouette width of wells by batch, cosine distance, -1 to 1; near 0 is good.
    nsc, nscb
        `moa_accuracy` of treatments, on those that both schemes can score.
    drop
        nsc - nscb; near 0 is good.
    """

    same_batch_neighbours: float
    same_batch_by_chance: float
    batch_silhouette: float
    nsc: float
    nscb: float
    drop: float


def batch_scores(
    profiles: pl.DataFrame | pl.LazyFrame,
    perturbation: str = "Metadata_Perturbation",
    moa: str = "Metadata_MOA",
    batch: str = "Metadata_Batch",
    concentration: str = "Metadata_Concentration",
) -> BatchScores:
    """Batch effect and mechanism accuracy of well profiles.

    Mechanism accuracy is that of the mean profile of each perturbation, concentration (where the
    table has it) and batch.
    """
    frame = profiles.lazy().collect()
    frame = frame.drop_nulls(key_columns(frame, batch))
    labels = codes(frame, [batch])
    rows = np.arange(frame.height)
    similarity = Cosine(frame, feature_columns(frame)).between(rows, rows)
    sizes = np.bincount(labels)[labels] if frame.height else np.empty(0)
    nsc, nscb = _mechanism(frame, perturbation, moa, batch, concentration)
    if len(np.unique(labels)) < 2:
        neighbours = chance = silhouette = float("nan")
    else:
        from sklearn.metrics import silhouette_score

        distance = np.clip(1 - similarity, 0, None)
        np.fill_diagonal(distance, 0)
        silhouette = float(silhouette_score(distance, labels, metric="precomputed"))
        np.fill_diagonal(similarity, -np.inf)
        neighbours = float(np.mean(labels[similarity.argmax(axis=1)] == labels))
        chance = float(np.mean((sizes - 1) / (frame.height - 1)))
    return BatchScores(neighbours, chance, silhouette, nsc, nscb, nsc - nscb)


def _mechanism(
    frame: pl.DataFrame, perturbation: str, moa: str, batch: str, concentration: str
) -> tuple[float, float]:
    if moa not in frame.columns or perturbation not in frame.columns:
        return float("nan"), float("nan")
    by = [perturbation, *([concentration] if concentration in frame.columns else []), moa, batch]
    treatments = consensus(frame.drop_nulls([perturbation, moa]), by, "mean")
    results = [
        moa_accuracy(treatments, scheme, perturbation, moa, batch).table for scheme in SCHEMES
    ]
    both = results[0]["scored"] & results[1]["scored"]
    if not both.any():
        return float("nan"), float("nan")
    nsc, nscb = (float(table.filter(both)["correct"].to_numpy().mean()) for table in results)
    return nsc, nscb
