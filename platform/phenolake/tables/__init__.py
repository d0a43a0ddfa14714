"""Every table of the lake, declared once.

`TABLES` maps a name to its declaration; marts are declared by dbt.
"""

from __future__ import annotations

from phenolake.errors import UnknownNameError
from phenolake.tables.bronze import PLATE_MAP, QUARANTINE, RAW_IMAGE_CATALOG
from phenolake.tables.declare import Column, Features, Layer, Table
from phenolake.tables.gold import (
    BATCH_CORRECTED_PROFILES,
    CONSENSUS_PROFILES,
    MODEL_PREDICTIONS,
    NORMALIZED_PROFILES,
    WELL_PROFILES,
)
from phenolake.tables.gold_curves import DOSE_RESPONSES
from phenolake.tables.gold_fits import FITTED_RECIPES, WELL_HETEROGENEITY
from phenolake.tables.gold_models import (
    EMBEDDING_PROFILES,
    FIELD_PREDICTIONS,
    LABELLING_QUEUE,
    MODEL_SCORES,
    WELL_PREDICTIONS,
)
from phenolake.tables.gold_scores import (
    BATCH_SCORES,
    FEATURE_SELECTION,
    PROFILE_SIMILARITY,
    REPLICATE_SCORES,
    SEGMENTATION_SCORES,
)
from phenolake.tables.silver import (
    FEATURE_DICTIONARY,
    ILLUMINATION_FUNCTIONS,
    IMAGE_QUALITY,
    SEGMENTATION_MASKS,
    SINGLE_CELL_FEATURES,
)
from phenolake.tables.silver_crops import CELL_EMBEDDINGS, SINGLE_CELL_CROPS
from phenolake.tables.silver_fields import FIELD_FEATURES
from phenolake.tables.silver_objects import OBJECTS

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        RAW_IMAGE_CATALOG,
        PLATE_MAP,
        QUARANTINE,
        ILLUMINATION_FUNCTIONS,
        IMAGE_QUALITY,
        SEGMENTATION_MASKS,
        OBJECTS,
        SINGLE_CELL_FEATURES,
        SINGLE_CELL_CROPS,
        CELL_EMBEDDINGS,
        FIELD_FEATURES,
        FEATURE_DICTIONARY,
        WELL_PROFILES,
        WELL_HETEROGENEITY,
        NORMALIZED_PROFILES,
        FITTED_RECIPES,
        BATCH_CORRECTED_PROFILES,
        CONSENSUS_PROFILES,
        FEATURE_SELECTION,
        BATCH_SCORES,
        PROFILE_SIMILARITY,
        REPLICATE_SCORES,
        SEGMENTATION_SCORES,
        MODEL_PREDICTIONS,
        FIELD_PREDICTIONS,
        WELL_PREDICTIONS,
        EMBEDDING_PROFILES,
        MODEL_SCORES,
        LABELLING_QUEUE,
        DOSE_RESPONSES,
    )
}


def table_named(name: str) -> Table:
    """Return the declaration of a table; `UnknownNameError` lists the tables there are."""
    if name not in TABLES:
        raise UnknownNameError("table", name, TABLES)
    return TABLES[name]


__all__ = [
    "BATCH_CORRECTED_PROFILES",
    "BATCH_SCORES",
    "CELL_EMBEDDINGS",
    "CONSENSUS_PROFILES",
    "DOSE_RESPONSES",
    "EMBEDDING_PROFILES",
    "FEATURE_DICTIONARY",
    "FEATURE_SELECTION",
    "FIELD_PREDICTIONS",
    "FITTED_RECIPES",
    "ILLUMINATION_FUNCTIONS",
    "IMAGE_QUALITY",
    "LABELLING_QUEUE",
    "MODEL_PREDICTIONS",
    "MODEL_SCORES",
    "NORMALIZED_PROFILES",
    "OBJECTS",
    "PLATE_MAP",
    "PROFILE_SIMILARITY",
    "QUARANTINE",
    "RAW_IMAGE_CATALOG",
    "REPLICATE_SCORES",
    "SEGMENTATION_MASKS",
    "SEGMENTATION_SCORES",
    "SINGLE_CELL_CROPS",
    "SINGLE_CELL_FEATURES",
    "TABLES",
    "WELL_HETEROGENEITY",
    "WELL_PREDICTIONS",
    "WELL_PROFILES",
    "Column",
    "Features",
    "Layer",
    "Table",
    "table_named",
]
