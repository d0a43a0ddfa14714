"""How much of a profile table is batch and how much is biology, and a comparison of corrections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
import polars as pl

from phenolake.evaluation.confidence import UNKNOWN, Interval, bootstrap_interval
from phenolake.evaluation.mechanism import SCHEMES, moa_accuracy
from phenolake.evaluation.mixing import kbet_accepted, label_connectivity, local_diversity
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
        95 % confidence of every score, by bootstrap over perturbations; each control well is drawn
        by itself.
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

    Parameters
    ----------
    profiles
        A row per well, usually corrected.
    perturbation, moa, batch, concentration, plate
        Columns that hold them; the table may lack any but the batch: those scores are NaN.
    reference
        Expression that chooses the control wells; None: there are none.

    References
    ----------
    kBET, LISI and graph connectivity as in `kbet_acceptance`, `local_diversity` and
    `graph_connectivity`; Drop (NSC - NSCB): Ando et al., bioRxiv 161422 (2017).
    """
    frame = profiles.lazy().collect()
    frame = frame.drop_nulls(key_columns(frame, batch))
    treated = frame if reference is None else frame.filter(~reference.fill_null(False))
    count = int(
        np.clip(frame.height // (4 * max(frame[batch].n_unique(), 1)), 10, _MOST_NEIGHBOURS)
    )
    scored = {
        **_mixing(frame, batch, _units(frame, perturbation, reference), count),
        **_labels_kept(treated, perturbation, moa, concentration, count),
        **_replicates(treated, perturbation, concentration, plate),
        **_mechanism(treated, perturbation, moa, batch, concentration),
    }
    values = {name: _mean(each) for name, (each, _) in scored.items()}
    intervals = {name: bootstrap_interval(each, units) for name, (each, units) in scored.items()}
    unknown = dict.fromkeys(SCORES, float("nan"))
    return BatchScores(**{**unknown, **values}, intervals=intervals)


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


#: A number for each thing that was scored, NaN where it could not be, and the unit it belongs to.
_Scored = tuple[np.ndarray, pl.Series]


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _units(frame: pl.DataFrame, perturbation: str, reference: pl.Expr | None) -> pl.Series:
    """What the bootstrap draws: perturbations, and each control well by itself."""
    well = pl.format("well {}", pl.int_range(pl.len()))
    if perturbation not in frame.columns:
        return frame.select(well).to_series()
    name = pl.format("of {}", pl.col(perturbation))
    if reference is not None:
        name = pl.when(~reference.fill_null(False)).then(name)
    return frame.select(pl.coalesce(name, well)).to_series()


def _mixing(frame: pl.DataFrame, batch: str, units: pl.Series, count: int) -> dict[str, _Scored]:
    """Scores of batches among the neighbours of all wells."""
    labels = np.unique(codes(frame, [batch]), return_inverse=True)[1]
    if labels.max(initial=0) < 1 or frame.height < 3:
        return {}
    rows, similarity = nearest(frame, count)
    sizes = np.bincount(labels)[labels]
    scores = {
        "same_batch_neighbours": (labels[rows[:, 0]] == labels).astype(np.float64),
        "same_batch_by_chance": (sizes - 1) / (frame.height - 1),
        "batch_silhouette": _silhouettes(frame, labels),
        "batch_kbet": kbet_accepted(rows, labels),
        "batch_lisi": local_diversity(1 - similarity, rows, labels),
    }
    return {name: (values, units) for name, values in scores.items()}


def _labels_kept(
    treated: pl.DataFrame, perturbation: str, moa: str, concentration: str, count: int
) -> dict[str, _Scored]:
    """Scores of labels among the neighbours of treated wells."""
    scores: dict[str, _Scored] = {}
    if perturbation not in treated.columns:
        return scores
    named = treated.drop_nulls(perturbation)
    if named.height > 2:
        keys = [perturbation, *([concentration] if concentration in treated.columns else [])]
        labels = codes(named, keys)
        rows, _ = nearest(named, min(count, 15))
        shares = label_connectivity(rows, labels)
        first = pl.DataFrame({"label": labels, "unit": named[perturbation]}).unique("label")
        units = first.filter(pl.col("label").is_in(list(shares))).sort("label")["unit"]
        scores["graph_connectivity"] = (np.array(list(shares.values())), units)
    if moa in treated.columns:
        named = named.drop_nulls(moa)
        labels = codes(named, [moa])
        if named.height > 2 and np.unique(labels).size > 1:
            rows, similarity = nearest(named, count)
            units = named[perturbation]
            scores["moa_lisi"] = (local_diversity(1 - similarity, rows, labels), units)
            scores["moa_silhouette"] = (_silhouettes(named, labels), units)
    return scores


def _replicates(
    treated: pl.DataFrame, perturbation: str, concentration: str, plate: str
) -> dict[str, _Scored]:
    """Average precision of each treatment's replicates on other plates."""
    if perturbation not in treated.columns or plate not in treated.columns:
        return {}
    named = treated.drop_nulls(perturbation)
    keys = [perturbation, *([concentration] if concentration in named.columns else [])]
    # One text names compound and dose: replicates share both.
    words = pl.concat_str(
        [pl.col(name).cast(pl.String) for name in keys], separator=" ", ignore_nulls=True
    )
    named = named.with_columns(words.alias("Metadata_Treatment"))
    table = mean_average_precision(
        named,
        perturbation="Metadata_Treatment",
        plate=plate,
        negatives="others",
        positives="other_plates",
        null_size=1,
    ).table
    compounds = named.select("Metadata_Treatment", pl.col(perturbation).alias("unit")).unique()
    table = table.join(compounds, on="Metadata_Treatment", how="left", maintain_order="left")
    return {"replicate_map": (table["mean_average_precision"].to_numpy(), table["unit"])}


def _silhouettes(frame: pl.DataFrame, labels: np.ndarray) -> np.ndarray:
    """Silhouette width of every well, cosine distance; NaN for wells that were not drawn."""
    from sklearn.metrics import silhouette_samples

    widths = np.full(frame.height, np.nan)
    rows = np.arange(frame.height)
    if rows.size > _MOST_FOR_SILHOUETTE:  # distances of all pairs would not fit in memory
        rows = np.sort(np.random.default_rng(0).choice(rows, _MOST_FOR_SILHOUETTE, replace=False))
    of = labels[rows]
    if not 1 < np.unique(of).size < rows.size:
        return widths
    sample = frame[rows]
    everyone = np.arange(rows.size)
    distance = np.clip(
        1 - Cosine(sample, feature_columns(sample)).between(everyone, everyone), 0, None
    )
    np.fill_diagonal(distance, 0)
    widths[rows] = silhouette_samples(distance, of, metric="precomputed")
    return widths


def _mechanism(
    frame: pl.DataFrame, perturbation: str, moa: str, batch: str, concentration: str
) -> dict[str, _Scored]:
    """NSC, NSCB and their difference, on the treatments that both can score."""
    if moa not in frame.columns or perturbation not in frame.columns:
        return {}
    by = [perturbation, *([concentration] if concentration in frame.columns else []), moa, batch]
    treatments = consensus(frame.drop_nulls([perturbation, moa]), by, "mean")
    tables = [moa_accuracy(treatments, s, perturbation, moa, batch).table for s in SCHEMES]
    both = tables[0]["scored"] & tables[1]["scored"]
    nsc, nscb = (table.filter(both)["correct"].to_numpy().astype(np.float64) for table in tables)
    units = tables[0].filter(both)[perturbation]
    return {"nsc": (nsc, units), "nscb": (nscb, units), "drop": (nsc - nscb, units)}
