"""How much of a profile table is batch and how much is biology, and a comparison of corrections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
import polars as pl

from phenolake.evaluation.confidence import UNKNOWN, Interval, bootstrap_interval
from phenolake.evaluation.mechanism import SCHEMES, moa_accuracy
from phenolake.evaluation.mixing import graph_connectivity, kbet_acceptance, local_diversity
from phenolake.evaluation.neighbours import nearest
from phenolake.evaluation.retrieval import mean_average_precision
from phenolake.evaluation.similarity import Cosine, codes
from phenolake.profiling.feature_matrix import feature_columns, key_columns
from phenolake.profiling.replicates import consensus

_MOST_NEIGHBOURS = 90
_MOST_FOR_SILHOUETTE = 5000


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
    batch_kbet
        Share of wells whose neighbours hold the batches as the whole table does; up to 0.95.
    batch_lisi
        Mean effective number of batches around a well; near the number of batches is good.
    moa_silhouette, moa_lisi
        The same by mechanism: a high silhouette and a diversity near 1 are good.
    graph_connectivity
        Mean share of a perturbation's wells in one piece of its neighbour graph; 1 is good.
    replicate_map
        Mean average precision of replicates on other plates against wells of other perturbations.
    nsc, nscb
        `moa_accuracy` of treatments, on those that both schemes can score.
    drop
        nsc - nscb; near 0 is good.
    intervals
        95 % confidence of `nsc`, `nscb` and `replicate_map`, by bootstrap over perturbations.
    """

    same_batch_neighbours: float
    same_batch_by_chance: float
    batch_silhouette: float
    nsc: float
    nscb: float
    drop: float
    batch_kbet: float = float("nan")
    batch_lisi: float = float("nan")
    moa_silhouette: float = float("nan")
    moa_lisi: float = float("nan")
    graph_connectivity: float = float("nan")
    replicate_map: float = float("nan")
    intervals: Mapping[str, Interval] = field(default_factory=dict)


#: Score -> what it tells of, and whether more is better (None: compare with chance).
SCORES: dict[str, tuple[str, bool | None]] = {
    "same_batch_neighbours": ("batch", False),
    "same_batch_by_chance": ("batch", None),
    "batch_silhouette": ("batch", False),
    "batch_kbet": ("batch", True),
    "batch_lisi": ("batch", True),
    "moa_silhouette": ("biology", True),
    "moa_lisi": ("biology", False),
    "graph_connectivity": ("biology", True),
    "replicate_map": ("biology", True),
    "nsc": ("biology", True),
    "nscb": ("biology", True),
    "drop": ("batch", False),
}


def batch_scores(
    profiles: pl.DataFrame | pl.LazyFrame,
    perturbation: str = "Metadata_Perturbation",
    moa: str = "Metadata_MOA",
    batch: str = "Metadata_Batch",
    concentration: str = "Metadata_Concentration",
    plate: str = "Metadata_Plate",
    reference: pl.Expr | None = None,
) -> BatchScores:
    """Batch effect, and biology kept, of well profiles.

    Mechanism accuracy is that of the mean profile of each perturbation, concentration (where the
    table has it) and batch. Wells of `reference` count for batch mixing and not for biology.
    Neighbourhoods have a quarter of the mean batch's wells, 10 to 90. Where each perturbation was
    in one batch only, batch and biology are confounded, and no score can tell them apart.
    """
    frame = profiles.lazy().collect()
    frame = frame.drop_nulls(key_columns(frame, batch))
    labels = codes(frame, [batch])
    batches = np.unique(labels).size
    count = int(np.clip(frame.height // (4 * max(batches, 1)), 10, _MOST_NEIGHBOURS))
    rows, similarity = nearest(frame, count)
    treated = frame if reference is None else frame.filter(~reference.fill_null(False))
    results = _mechanism(treated, perturbation, moa, batch, concentration)
    biology = _labels_kept(treated, perturbation, moa, concentration, count)
    precision = _replicates(treated, perturbation, concentration, plate)
    mixing = dict.fromkeys(
        ("same_batch_neighbours", "same_batch_by_chance", "batch_silhouette", "batch_kbet", "batch_lisi"),
        float("nan"),
    )  # fmt: skip
    if batches > 1 and frame.height > 2:
        sizes = np.bincount(labels)[labels]
        zero_based = np.unique(labels, return_inverse=True)[1]
        mixing = {
            "same_batch_neighbours": float(np.mean(labels[rows[:, 0]] == labels)),
            "same_batch_by_chance": float(np.mean((sizes - 1) / (frame.height - 1))),
            "batch_silhouette": _silhouette(frame, labels),
            "batch_kbet": kbet_acceptance(rows, zero_based),
            "batch_lisi": float(np.mean(local_diversity(1 - similarity, rows, labels))),
        }
    nsc, nscb = (accuracy for accuracy, _ in results)
    return BatchScores(
        **mixing,
        **biology,
        nsc=nsc,
        nscb=nscb,
        drop=nsc - nscb,
        replicate_map=precision[0],
        intervals={
            "nsc": results[0][1],
            "nscb": results[1][1],
            "replicate_map": precision[1],
        },
    )


def compare_corrections(
    profiles: Mapping[str, pl.DataFrame], **columns: str | pl.Expr | None
) -> pl.DataFrame:
    """`batch_scores` of several corrections of the same wells as one table.

    Returns
    -------
    polars.DataFrame
        Columns `correction`, `score`, `about` (`batch` or `biology`), `better` (`higher`, `lower`
        or null), `value`, `low`, `high` (null where a score has no interval).
    """
    rows = []
    for method, frame in profiles.items():
        scores = batch_scores(frame, **columns)  # type: ignore[arg-type]
        values = asdict(scores)
        for score, (about, higher) in SCORES.items():
            interval = scores.intervals.get(score, UNKNOWN)
            better = None if higher is None else ("higher" if higher else "lower")
            rows.append((method, score, about, better, values[score], *interval))
    names = ("correction", "score", "about", "better")
    schema = dict.fromkeys(names, pl.String) | dict.fromkeys(("value", "low", "high"), pl.Float64)
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        pl.col("value", "low", "high").fill_nan(None)
    )


def _labels_kept(
    treated: pl.DataFrame, perturbation: str, moa: str, concentration: str, count: int
) -> dict[str, float]:
    """Scores of labels among the neighbours of treated wells."""
    scores = dict.fromkeys(("moa_silhouette", "moa_lisi", "graph_connectivity"), float("nan"))
    if perturbation in treated.columns:
        keys = [perturbation, *([concentration] if concentration in treated.columns else [])]
        named = treated.drop_nulls(perturbation)
        if named.height > 2:
            rows, _ = nearest(named, min(count, 15))
            scores["graph_connectivity"] = graph_connectivity(rows, codes(named, keys))
    if moa in treated.columns:
        named = treated.drop_nulls(moa)
        labels = codes(named, [moa])
        if named.height > 2 and np.unique(labels).size > 1:
            rows, similarity = nearest(named, count)
            scores["moa_lisi"] = float(np.mean(local_diversity(1 - similarity, rows, labels)))
            scores["moa_silhouette"] = _silhouette(named, labels)
    return scores


def _replicates(
    treated: pl.DataFrame, perturbation: str, concentration: str, plate: str
) -> tuple[float, Interval]:
    if perturbation not in treated.columns or plate not in treated.columns:
        return float("nan"), UNKNOWN
    named = treated.drop_nulls(perturbation)
    keys = [perturbation, *([concentration] if concentration in named.columns else [])]
    # One text names compound and dose: replicates share both.
    words = pl.concat_str(
        [pl.col(name).cast(pl.String) for name in keys], separator=" ", ignore_nulls=True
    )
    result = mean_average_precision(
        named.with_columns(words.alias("Metadata_Treatment")),
        perturbation="Metadata_Treatment",
        plate=plate,
        negatives="others",
        positives="other_plates",
        null_size=1,
    )
    return result.value, result.interval


def _silhouette(frame: pl.DataFrame, labels: np.ndarray) -> float:
    from sklearn.metrics import silhouette_score

    rows = np.arange(frame.height)
    if rows.size > _MOST_FOR_SILHOUETTE:  # distances of all pairs would not fit in memory
        rows = np.sort(np.random.default_rng(0).choice(rows, _MOST_FOR_SILHOUETTE, replace=False))
    of = labels[rows]
    if not 1 < np.unique(of).size < rows.size:
        return float("nan")
    sample = frame[rows]
    everyone = np.arange(rows.size)
    distance = np.clip(
        1 - Cosine(sample, feature_columns(sample)).between(everyone, everyone), 0, None
    )
    np.fill_diagonal(distance, 0)
    return float(silhouette_score(distance, of, metric="precomputed"))


def _mechanism(
    frame: pl.DataFrame, perturbation: str, moa: str, batch: str, concentration: str
) -> list[tuple[float, Interval]]:
    """Accuracy and interval of NSC and NSCB, on the treatments that both can score."""
    nothing = [(float("nan"), UNKNOWN)] * 2
    if moa not in frame.columns or perturbation not in frame.columns:
        return nothing
    by = [perturbation, *([concentration] if concentration in frame.columns else []), moa, batch]
    treatments = consensus(frame.drop_nulls([perturbation, moa]), by, "mean")
    tables = [moa_accuracy(treatments, s, perturbation, moa, batch).table for s in SCHEMES]
    both = tables[0]["scored"] & tables[1]["scored"]
    if not both.any():
        return nothing
    return [
        (
            float(kept["correct"].to_numpy().mean()),
            bootstrap_interval(kept["correct"], kept[perturbation]),
        )
        for kept in (table.filter(both) for table in tables)
    ]
