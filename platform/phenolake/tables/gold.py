"""Gold tables: profiles of wells and perturbations, and what models say."""

from __future__ import annotations

import pyarrow as pa

from phenolake.tables import keys
from phenolake.tables.bronze import PER_PLATE
from phenolake.tables.declare import Column, Features, Layer, Table

_PROFILE_FEATURES = Features(
    pa.float64(), "feature of the profile, named as in single_cell_features"
)
_WELL_COLUMNS = (keys.SCREEN, keys.BATCH, keys.PLATE, keys.WELL, *keys.TREATMENT, keys.CELL_COUNT)
PER_SCREEN = ("Metadata_Screen",)
_INPUT_VERSION = Column(
    "Metadata_InputVersion", pa.int64(), "version of the profiles that this one was made of"
)

WELL_PROFILES = Table(
    "well_profiles",
    Layer.GOLD,
    grain="one row per well: the median (or mean) over its cells",
    key=(*PER_PLATE, "Metadata_Well"),
    partition_by=PER_PLATE,
    columns=(
        *_WELL_COLUMNS,
        Column("Metadata_SiteCount", pa.int64(), "segmented sites of the well", unit="sites"),
        Column(
            "Metadata_ExcludedCellCount",
            pa.int64(),
            "cells that the screen's object rule left out; null where none was applied",
            unit="cells",
        ),
    ),
    features=_PROFILE_FEATURES,
    free_metadata=True,
)

NORMALIZED_PROFILES = Table(
    "normalized_profiles",
    Layer.GOLD,
    grain="one row per well and normalization method",
    key=(*PER_PLATE, "Metadata_Well", "Metadata_Normalization"),
    partition_by=PER_PLATE,
    columns=(
        *_WELL_COLUMNS,
        Column(
            "Metadata_Normalization",
            pa.string(),
            "standardize (mean, SD) or mad_robustize (median, MAD x 1.4826) against the reference; "
            "+well_position, +cell_density: adjusted after it",
            nullable=False,
        ),
        Column("Metadata_Reference", pa.string(), "wells that the plate was normalized against"),
        _INPUT_VERSION,
    ),
    features=_PROFILE_FEATURES,
    free_metadata=True,
)

BATCH_CORRECTED_PROFILES = Table(
    "batch_corrected_profiles",
    Layer.GOLD,
    grain="one row per well and correction method",
    key=(*PER_PLATE, "Metadata_Well", "Metadata_Correction"),
    partition_by=PER_SCREEN,
    columns=(
        *_WELL_COLUMNS,
        Column(
            "Metadata_Correction",
            pa.string(),
            "correction method, e.g. none or sphering; +well_position, +cell_density: adjusted before",
            nullable=False,
        ),
        Column("Metadata_Recipe", pa.string(), "steps from well_profiles to this profile, as JSON"),
        Column(
            "Metadata_Reference", pa.string(), "wells that normalization and correction learn from"
        ),
        Column(
            "Metadata_InputTable",
            pa.string(),
            "table that was read: well_profiles, or normalized_profiles where only those were imported",
        ),
        _INPUT_VERSION,
        Column(
            "Metadata_FitVersion",
            pa.int64(),
            "version of fitted_recipes that was applied: what normalization and correction learned",
        ),
    ),
    features=_PROFILE_FEATURES,
    free_metadata=True,
)

CONSENSUS_PROFILES = Table(
    "consensus_profiles",
    Layer.GOLD,
    grain="one row per perturbation, concentration and correction method: the consensus of its wells",
    key=(
        *PER_SCREEN,
        "Metadata_Perturbation",
        "Metadata_Concentration",
        "Metadata_ControlType",
        "Metadata_Correction",
    ),
    partition_by=PER_SCREEN,
    columns=(
        keys.SCREEN,
        *keys.TREATMENT[:4],
        keys.TREATMENT[5],
        Column(
            "Metadata_Correction",
            pa.string(),
            "correction method, e.g. none or sphering",
            nullable=False,
        ),
        Column(
            "Metadata_Consensus", pa.string(), "how wells became one profile: median, modz or mean"
        ),
        _INPUT_VERSION,
        Column(
            "Metadata_WellCount",
            pa.int64(),
            "wells behind the profile",
            unit="wells",
            nullable=False,
        ),
        keys.CELL_COUNT,
    ),
    features=_PROFILE_FEATURES,
)

MODEL_PREDICTIONS = Table(
    "model_predictions",
    Layer.GOLD,
    grain="one row per cell and model",
    key=(
        *PER_PLATE,
        "Metadata_Well",
        "Metadata_Site",
        "Metadata_ObjectNumber",
        "model_name",
        "model_version",
    ),
    partition_by=PER_SCREEN,
    columns=(
        keys.SCREEN,
        keys.BATCH,
        keys.PLATE,
        keys.WELL,
        keys.SITE,
        keys.OBJECT,
        Column("model_name", pa.string(), "registered model in MLflow", nullable=False),
        Column("model_version", pa.string(), "version in the MLflow registry", nullable=False),
        Column("mlflow_run_id", pa.string(), "MLflow run that trained the model", nullable=False),
        Column("label", pa.string(), "most probable class", nullable=False),
        Column(
            "true_label",
            pa.string(),
            "class from the annotations, for a model that knows these, else from the plate map",
        ),
        Column("probability", pa.float32(), "probability of `label`", nullable=False),
        Column(
            "entropy",
            pa.float32(),
            "entropy of the class probabilities",
            unit="nats",
            nullable=False,
        ),
        Column(
            "split",
            pa.string(),
            "train, validation or unseen: how the model met this well",
            nullable=False,
        ),
        Column(
            "novelty",
            pa.float32(),
            "share of held-out training-time cells nearer to a class; near 1 is unlike anything known",
        ),
        Column(
            "label_or_unknown",
            pa.string(),
            "`label`, or unknown where novelty is above the threshold; null for a model without one",
        ),
        Column(
            "expected_entropy",
            pa.float32(),
            "mean entropy of the votes of members or dropout passes; null for a model of one opinion",
            unit="nats",
        ),
        Column(
            "mutual_information",
            pa.float32(),
            "what members or dropout passes disagree on; null for a model of one opinion",
            unit="nats",
        ),
        Column(
            "probabilities",
            pa.list_(pa.struct([("class", pa.string()), ("probability", pa.float32())])),
            "probability of every class",
        ),
    ),
)
