"""From normalized wells of all plates to corrected and consensus profiles of a screen."""

from __future__ import annotations

import polars as pl

from phenolake.correction import correct
from phenolake.errors import ControlsMissingError
from phenolake.evaluation.mechanism import moa_accuracy
from phenolake.profiling import consensus, select_features
from phenolake.stages.profiles import IS_NEGATIVE_CONTROL

#: Methods kept side by side in `batch_corrected_profiles`.
CORRECTIONS = ("none", "sphering")

_TREATMENT = (
    "Metadata_Screen",
    "Metadata_Perturbation",
    "Metadata_Concentration",
    "Metadata_ConcentrationUnit",
    "Metadata_ControlType",
    "Metadata_MOA",
)


def screen_normalization(normalized: pl.DataFrame) -> pl.DataFrame:
    """The z-scores that corrections start from.

    Plain z-scores are taken: a plate often has fewer than ten controls, whose MAD is unsteady.
    """
    return normalized.filter(pl.col("Metadata_Normalization") == "standardize").drop(
        "Metadata_Normalization"
    )


def correct_screen(profiles: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Profiles after feature selection in every correction, stacked; and the features dropped.

    Raises
    ------
    ControlsMissingError
        If the screen has no negative control at all.
    """
    if profiles.filter(IS_NEGATIVE_CONTROL).is_empty():
        raise ControlsMissingError(
            "batch correction", "the screen", "Metadata_ControlType == 'negcon'"
        )
    selection = select_features(profiles)
    corrected = pl.concat(
        [
            correct(selection.profiles, method, reference=IS_NEGATIVE_CONTROL).with_columns(
                pl.lit(method).alias("Metadata_Correction")
            )
            for method in CORRECTIONS
        ],
        how="diagonal",
    )
    return corrected, selection.dropped


def consensus_of(corrected: pl.DataFrame) -> pl.DataFrame:
    """Median profile of each perturbation and dose, for each correction."""
    by = [*_TREATMENT, "Metadata_Correction"]
    features = [name for name in corrected.columns if not name.startswith("Metadata_")]
    profiles = consensus(corrected.select(*by, *features), by=by, method="median")
    counts = corrected.group_by(by).agg(
        pl.len().cast(pl.Int64).alias("Metadata_WellCount"),
        pl.col("Metadata_CellCount").sum().cast(pl.Int64),
    )
    profiles = profiles.drop("Metadata_WellCount", "Metadata_CellCount", strict=False)
    return (
        profiles.join(counts, on=by, how="left", nulls_equal=True)
        .select(*by, "Metadata_WellCount", "Metadata_CellCount", *features)
        .sort(by)
    )


def mechanism_accuracy(consensus_profiles: pl.DataFrame) -> dict[str, float]:
    """Share of treatments whose nearest profile of another compound has their mechanism (NSC).

    By correction; over treatments whose mechanism at least two compounds share.
    """
    treated = consensus_profiles.filter(
        (pl.col("Metadata_ControlType") != "negcon") & pl.col("Metadata_MOA").is_not_null()
    )
    compounds = pl.col("Metadata_Perturbation").n_unique().over("Metadata_MOA")
    treated = treated.filter(compounds >= 2)
    return {
        str(method): round(moa_accuracy(rows, scheme="NSC").accuracy, 4)
        for (method,), rows in treated.sort("Metadata_Correction").group_by(
            ["Metadata_Correction"], maintain_order=True
        )
    }
