"""Silver table of segmented objects: parents, flags with reasons, and what flags are made from."""

from __future__ import annotations

import pyarrow as pa

from phenolake.tables import keys
from phenolake.tables.bronze import PER_PLATE
from phenolake.tables.declare import Column, Layer, Table

OBJECTS = Table(
    "objects",
    Layer.SILVER,
    grain="one row per segmented object: a nucleus, a cell, a cytoplasm",
    key=(
        *PER_PLATE,
        "Metadata_Well",
        "Metadata_Site",
        "compartment",
        "Metadata_ObjectNumber",
        "part",
    ),
    partition_by=PER_PLATE,
    columns=(
        keys.SCREEN,
        keys.BATCH,
        keys.PLATE,
        keys.WELL,
        keys.SITE,
        Column("compartment", pa.string(), "Nuclei, Cells or Cytoplasm", nullable=False),
        keys.OBJECT,
        Column(
            "part",
            pa.int32(),
            "which of the nuclei with this number, from 1: a cell may have several",
            nullable=False,
        ),
        Column("parent_compartment", pa.string(), "compartment the object lies in"),
        Column("parent_number", pa.int32(), "number of the object it lies in; null for an orphan"),
        Column("nuclei_count", pa.int32(), "nuclei that lie in the cell; of cells only"),
        Column("area", pa.int32(), "size of the object", unit="pixels", nullable=False),
        Column("center_y", pa.float32(), "row of the centre of mass", unit="pixels"),
        Column("center_x", pa.float32(), "column of the centre of mass", unit="pixels"),
        Column(
            "ellipse_fill",
            pa.float32(),
            "area over that of the ellipse with the same moments: 1 is an ellipse",
        ),
        Column(
            "mean_intensity",
            pa.float32(),
            "mean in the channel that shows the compartment",
            unit="intensity",
        ),
        Column(
            "edge_width_px",
            pa.float32(),
            "contrast over slope at the edge; wider is blurrier",
            unit="pixels",
        ),
        Column("is_border", pa.bool_(), "touches the edge of the field"),
        Column("is_debris", pa.bool_(), "two of small, irregular, too bright: dirt"),
        Column("is_too_small", pa.bool_(), "far below the plate's median area"),
        Column("is_too_large", pa.bool_(), "far above the plate's median area"),
        Column("is_out_of_focus", pa.bool_(), "edge much wider than the plate's median"),
        Column("is_orphan", pa.bool_(), "a nucleus without a cell, or a cell without a nucleus"),
        Column("reason", pa.string(), "what is odd, e.g. border, debris; null if nothing"),
        Column(
            "is_usable", pa.bool_(), "false if the screen's rule leaves the object out of profiles"
        ),
    ),
)
