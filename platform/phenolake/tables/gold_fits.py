"""Gold tables beside the profiles: what recipes learned, and how the cells of a well differ."""

from __future__ import annotations

import pyarrow as pa

from phenolake.tables import keys
from phenolake.tables.bronze import PER_PLATE
from phenolake.tables.declare import Column, Features, Layer, Table

FITTED_RECIPES = Table(
    "fitted_recipes",
    Layer.GOLD,
    grain="one row per screen and correction method: what normalization and correction learned",
    key=("Metadata_Screen", "Metadata_Correction"),
    partition_by=("Metadata_Screen",),
    columns=(
        keys.SCREEN,
        Column(
            "Metadata_Correction",
            pa.string(),
            "correction method, e.g. none or sphering; +well_position, +cell_density: adjusted before",
            nullable=False,
        ),
        Column("recipe", pa.string(), "name of the recipe", nullable=False),
        Column("steps", pa.string(), "its steps and their parameters, as JSON", nullable=False),
        Column("reference", pa.string(), "wells that it learned from", nullable=False),
        Column("plates", pa.list_(pa.string()), "plates that it was fitted on", nullable=False),
        Column("wells", pa.int64(), "wells of these plates", unit="wells", nullable=False),
        Column("features_dropped", pa.int64(), "features that it leaves out", nullable=False),
        Column("input_table", pa.string(), "table of the profiles it learned from", nullable=False),
        Column("input_version", pa.int64(), "version of that table", nullable=False),
        Column(
            "fit",
            pa.binary(),
            "the fitted recipe, for phenolake.profiling.FittedRecipe.from_bytes (safetensors)",
            nullable=False,
        ),
    ),
)

WELL_HETEROGENEITY = Table(
    "well_heterogeneity",
    Layer.GOLD,
    grain="one row per well: how its cells differ from each other; empty unless the screen asks for it",
    key=(*PER_PLATE, "Metadata_Well"),
    partition_by=PER_PLATE,
    columns=(keys.SCREEN, keys.PLATE, keys.WELL, keys.CELL_COUNT),
    features=Features(
        pa.float64(),
        "<feature>_mad: spread of a feature; Covariance_000, ...: random projections of covariances",
    ),
)
