"""What the profiles of a screen are worth: batch scores, similar treatments, replicates."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
import polars as pl

from phenolake.errors import ControlsMissingError
from phenolake.evaluation.activity import grit, induction
from phenolake.evaluation.batches import compare_corrections
from phenolake.evaluation.clusters import cluster_profiles, similarity_table
from phenolake.evaluation.replicability import percent_replicating
from phenolake.evaluation.retrieval import mean_average_precision
from phenolake.profiling import feature_columns, normalize
from phenolake.stages.reference import CONTROLS, IS_NEGATIVE_CONTROL, Reference
from phenolake.stages.screen_profiles import profiles_of
from phenolake.tables import PROFILE_SIMILARITY, REPLICATE_SCORES

_DOSE = ("Metadata_Perturbation", "Metadata_Concentration", "Metadata_ConcentrationUnit")
_TREATMENT = (*_DOSE, "Metadata_MOA")
_NAME = "Metadata_Treatment"
_MOST_CLUSTERED = 5000


def methods_of(profiles: pl.DataFrame) -> list[str]:
    """Correction methods of a table, in order of name."""
    return [str(name) for name in profiles["Metadata_Correction"].unique().sort()]


def batch_scores_of(corrected: pl.DataFrame) -> pl.DataFrame:
    """Batch mixing and biology kept, a row per correction and score."""
    batch = pl.coalesce("Metadata_Batch", "Metadata_Plate").alias("Metadata_Batch")
    parts = {
        method: profiles_of(corrected, method).with_columns(batch)
        for method in methods_of(corrected)
    }
    table = compare_corrections(parts, reference=IS_NEGATIVE_CONTROL)
    return table.rename({"correction": "Metadata_Correction"})


def similarity_of(consensus: pl.DataFrame, count: int = 20) -> pl.DataFrame:
    """The most similar treatments of each treatment, a row per pair; controls are left out."""
    treated = consensus.filter(~IS_NEGATIVE_CONTROL.fill_null(False))
    parts = [pl.DataFrame(PROFILE_SIMILARITY.arrow_schema().empty_table()).drop("Metadata_Screen")]
    for method in methods_of(treated):
        profiles = profiles_of(treated, method)
        # A profile without any value (all wells failed) resembles nothing.
        profiles = profiles.filter(_has_values(profiles))
        clusters = _clusters(profiles)
        pairs = similarity_table(
            profiles.select(*_TREATMENT, *feature_columns(profiles)), _TREATMENT, count
        )
        of = profiles.select(_DOSE).with_columns(pl.Series("cluster", clusters, pl.Int32))
        pairs = pairs.join(
            of.unique(_DOSE), on=_DOSE, how="left", nulls_equal=True, maintain_order="left"
        )
        parts.append(pairs.with_columns(pl.lit(method).alias("Metadata_Correction")))
    return pl.concat(parts, how="diagonal")


def replicate_scores_of(
    corrected: pl.DataFrame, well_profiles: pl.DataFrame, reference: Reference | None = CONTROLS
) -> pl.DataFrame:
    """Replicate retrieval, replicate correlation, grit and induction of each treatment.

    Without controls, replicates are retrieved among other treatments and there is no grit;
    `reference` None says that `well_profiles` are z-scores already.
    """
    treated = ~IS_NEGATIVE_CONTROL.fill_null(False) & pl.col("Metadata_Perturbation").is_not_null()
    words = [pl.col(name).cast(pl.String).fill_null("") for name in _DOSE]
    name = pl.concat_str(words, separator="|").alias(_NAME)
    z_scores = well_profiles
    if reference is not None:
        z_scores = normalize(well_profiles, "standardize", reference=reference.wells)
    negatives: Literal["controls", "others"] = (
        "controls" if corrected.select(IS_NEGATIVE_CONTROL.any()).item() else "others"
    )
    induced = induction(z_scores.with_columns(name).filter(treated), _NAME).drop("replicates")
    parts = [pl.DataFrame(REPLICATE_SCORES.arrow_schema().empty_table()).drop("Metadata_Screen")]
    for method in methods_of(corrected.filter(treated)):
        profiles = profiles_of(corrected, method).with_columns(name)
        profiles = profiles.filter(_has_values(profiles))
        of_treated = profiles.filter(treated)
        precision = mean_average_precision(
            profiles, _NAME, IS_NEGATIVE_CONTROL, negatives=negatives, positives="all"
        ).table.drop("queries")
        correlated = percent_replicating(of_treated, _NAME, null_size=2000).table.select(
            _NAME, pl.col("score").fill_nan(None).alias("replicate_correlation"), "replicates_well"
        )
        rows = of_treated.group_by(_NAME).agg(
            pl.len().cast(pl.Int64).alias("wells"), pl.col(*_TREATMENT).first()
        )
        for scores in (precision, correlated, _grit(profiles), induced):
            rows = rows.join(scores, on=_NAME, how="left")
        parts.append(rows.with_columns(pl.lit(method).alias("Metadata_Correction")))
    return (
        pl.concat(parts, how="diagonal")
        .drop(_NAME, strict=False)
        .sort("Metadata_Correction", *_DOSE)
    )


def _grit(profiles: pl.DataFrame) -> pl.DataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            scores = grit(profiles, _NAME, IS_NEGATIVE_CONTROL)
    except ControlsMissingError:
        # One control of a plate gives no spread of correlations: the score is unknown there.
        return pl.DataFrame(schema={_NAME: pl.String, "grit": pl.Float64})
    return scores.select(_NAME, pl.col("grit").fill_nan(None))


def _has_values(profiles: pl.DataFrame) -> pl.Series:
    features = feature_columns(profiles)
    return (
        profiles.select(pl.any_horizontal(pl.col(features).is_finite()))
        .to_series()
        .fill_null(False)
    )


def _clusters(profiles: pl.DataFrame) -> np.ndarray:
    if profiles.height > _MOST_CLUSTERED:
        return np.zeros(profiles.height, np.int64)
    return cluster_profiles(profiles).labels
