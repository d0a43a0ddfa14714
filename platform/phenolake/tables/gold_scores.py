"""Gold tables that judge profiles: what was dropped, what resembles what, how good a correction is."""

from __future__ import annotations

import pyarrow as pa

from phenolake.tables import keys
from phenolake.tables.declare import Column, Layer, Table

PER_SCREEN = ("Metadata_Screen",)
_CORRECTION = Column(
    "Metadata_Correction", pa.string(), "correction method, e.g. none or sphering", nullable=False
)
_TREATMENT = (*keys.TREATMENT[:3], keys.TREATMENT[5])

FEATURE_SELECTION = Table(
    "feature_selection",
    Layer.GOLD,
    grain="one row per feature that the screen's recipe dropped",
    key=(*PER_SCREEN, "feature"),
    partition_by=PER_SCREEN,
    columns=(
        keys.SCREEN,
        Column("recipe", pa.string(), "name of the recipe", nullable=False),
        Column("step", pa.int32(), "step of the recipe, from 1", nullable=False),
        Column("feature", pa.string(), "name of the feature", nullable=False),
        Column(
            "operation",
            pa.string(),
            "rule that dropped it, e.g. variance; correct: a well lacks it",
            nullable=False,
        ),
        Column("reason", pa.string(), "why, in words", nullable=False),
        Column("value", pa.float64(), "number that broke the rule"),
    ),
)

BATCH_SCORES = Table(
    "batch_scores",
    Layer.GOLD,
    grain="one row per screen, correction method and score",
    key=(*PER_SCREEN, "Metadata_Correction", "score"),
    partition_by=PER_SCREEN,
    columns=(
        keys.SCREEN,
        _CORRECTION,
        Column("score", pa.string(), "name of the score, e.g. batch_kbet or nscb", nullable=False),
        Column("about", pa.string(), "batch (mixing) or biology (kept)", nullable=False),
        Column("better", pa.string(), "higher or lower; null: compare with chance"),
        Column("value", pa.float64(), "the score; null where the screen can't tell"),
        Column("low", pa.float64(), "lower end of the 95 % interval, bootstrap over perturbations"),
        Column("high", pa.float64(), "upper end of the 95 % interval"),
    ),
)

PROFILE_SIMILARITY = Table(
    "profile_similarity",
    Layer.GOLD,
    grain="one row per treatment, correction method and one of its most similar treatments",
    key=(
        *PER_SCREEN,
        "Metadata_Correction",
        "Metadata_Perturbation",
        "Metadata_Concentration",
        "Metadata_ConcentrationUnit",
        "rank",
    ),
    partition_by=PER_SCREEN,
    columns=(
        keys.SCREEN,
        _CORRECTION,
        *_TREATMENT,
        Column("cluster", pa.int32(), "hierarchical cluster of the treatment, cosine distance 0.5"),
        Column("rank", pa.int32(), "1 is the most similar", nullable=False),
        Column("neighbour_Perturbation", pa.string(), "perturbation of the similar treatment"),
        Column("neighbour_Concentration", pa.float64(), "its dose"),
        Column("neighbour_ConcentrationUnit", pa.string(), "unit of its dose"),
        Column("neighbour_MOA", pa.string(), "its mechanism of action"),
        Column(
            "similarity",
            pa.float64(),
            "cosine of the two consensus profiles, -1 to 1",
            nullable=False,
        ),
    ),
)

REPLICATE_SCORES = Table(
    "replicate_scores",
    Layer.GOLD,
    grain="one row per treatment and correction method",
    key=(
        *PER_SCREEN,
        "Metadata_Correction",
        "Metadata_Perturbation",
        "Metadata_Concentration",
        "Metadata_ConcentrationUnit",
    ),
    partition_by=PER_SCREEN,
    columns=(
        keys.SCREEN,
        _CORRECTION,
        *_TREATMENT,
        Column("wells", pa.int64(), "replicate wells", unit="wells", nullable=False),
        Column(
            "mean_average_precision",
            pa.float64(),
            "how early the replicates (any plate) rank before the controls of the query's plate",
        ),
        Column("p_value", pa.float64(), "chance of that precision in random rankings"),
        Column("q_value", pa.float64(), "false discovery rate (Benjamini-Hochberg)"),
        Column(
            "replicate_correlation", pa.float64(), "median Pearson correlation between replicates"
        ),
        Column(
            "replicates_well",
            pa.bool_(),
            "that is above the 95th percentile of random groups of wells",
        ),
        Column("grit", pa.float64(), "resemblance of replicates beyond controls", unit="SD"),
        Column(
            "induction",
            pa.float64(),
            "share of features whose median plate z-score is 3 or more, either way",
        ),
    ),
)

SEGMENTATION_SCORES = Table(
    "segmentation_scores",
    Layer.GOLD,
    grain="one row per screen, segmentation method, condition of annotated images and IoU threshold",
    key=(*PER_SCREEN, "method", "condition", "threshold"),
    partition_by=PER_SCREEN,
    columns=(
        keys.SCREEN,
        Column("method", pa.string(), "segmentation method, e.g. classical", nullable=False),
        Column("model_hash", pa.string(), "sha256 of the weights, where a network was used"),
        Column(
            "condition",
            pa.string(),
            "images made alike, from the annotated images; all images: over all of them",
            nullable=False,
        ),
        Column(
            "threshold",
            pa.float64(),
            "intersection over union (IoU) from which two objects match",
            nullable=False,
        ),
        Column("images", pa.int64(), "annotated images", unit="images", nullable=False),
        Column("tp", pa.int64(), "true objects that were found", unit="objects"),
        Column("fp", pa.int64(), "predicted objects that are none", unit="objects"),
        Column("fn", pa.int64(), "true objects that were missed", unit="objects"),
        Column("precision", pa.float64(), "tp / (tp + fp)"),
        Column("recall", pa.float64(), "tp / (tp + fn)"),
        Column("f1", pa.float64(), "2 tp / (2 tp + fp + fn)"),
        Column("ap", pa.float64(), "average precision as tp / (tp + fp + fn)"),
        Column("mean_matched_iou", pa.float64(), "mean IoU of matched pairs"),
        Column("panoptic_quality", pa.float64(), "mean_matched_iou x f1"),
        Column("splits", pa.int64(), "true objects cut into two or more", unit="objects"),
        Column("merges", pa.int64(), "predicted objects that join two or more", unit="objects"),
        Column("seconds_per_image", pa.float64(), "median time of an image", unit="s"),
        Column(
            "cpu_seconds_per_image",
            pa.float64(),
            "median processor time of an image",
            unit="s",
        ),
    ),
)
