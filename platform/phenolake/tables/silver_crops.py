"""Silver tables of single cells as images: their crops, and what networks make of them."""

from __future__ import annotations

import pyarrow as pa

from phenolake.tables import keys
from phenolake.tables.bronze import PER_PLATE
from phenolake.tables.declare import Column, Layer, Table

_CELL = (*PER_PLATE, "Metadata_Well", "Metadata_Site", "Metadata_ObjectNumber")
_CELL_COLUMNS = (keys.SCREEN, keys.BATCH, keys.PLATE, keys.WELL, keys.SITE, keys.OBJECT)

SINGLE_CELL_CROPS = Table(
    "single_cell_crops",
    Layer.SILVER,
    grain="one row per cell: its image",
    key=_CELL,
    partition_by=PER_PLATE,
    columns=(
        *_CELL_COLUMNS,
        Column("channels", pa.string(), "channels of the crop, joined by commas", nullable=False),
        Column("size", pa.int32(), "edge of the crop", unit="pixels", nullable=False),
        Column(
            "pixels",
            pa.binary(),
            "uint8 (channel, y, x) in row order, the nucleus in the middle; 255 is twice the "
            "plate's median 99th percentile of the channel",
            nullable=False,
        ),
    ),
)

CELL_EMBEDDINGS = Table(
    "cell_embeddings",
    Layer.SILVER,
    grain="one row per cell and network: what the network sees in the cell",
    key=(*_CELL, "model_name", "model_version"),
    partition_by=("Metadata_Screen",),
    columns=(
        *_CELL_COLUMNS,
        Column("model_name", pa.string(), "registered model in MLflow", nullable=False),
        Column("model_version", pa.string(), "version in the MLflow registry", nullable=False),
        Column(
            "embedding",
            pa.list_(pa.float32()),
            "last layer before the classes, as many numbers for every cell of a model",
            nullable=False,
        ),
    ),
)
