"""The key columns that tables share, declared once so that their wording never differs."""

from __future__ import annotations

import pyarrow as pa

from phenolake.tables.declare import Column

SCREEN = Column("Metadata_Screen", pa.string(), "screen the plate belongs to", nullable=False)
PLATE = Column("Metadata_Plate", pa.string(), "plate name or barcode", nullable=False)
BATCH = Column(
    "Metadata_Batch", pa.string(), "experimental batch: plates stained and imaged together"
)
WELL = Column(
    "Metadata_Well", pa.string(), "well name, row letters and column, e.g. B03", nullable=False
)
SITE = Column("Metadata_Site", pa.int32(), "field of view within the well", nullable=False)
OBJECT = Column(
    "Metadata_ObjectNumber",
    pa.int32(),
    "label of the cell in the masks of its site, the same in every compartment",
    nullable=False,
)
CELL_COUNT = Column(
    "Metadata_CellCount",
    pa.int64(),
    "segmented cells; null where an imported table does not say",
    unit="cells",
)

TREATMENT: tuple[Column, ...] = (
    Column("Metadata_Perturbation", pa.string(), "compound, siRNA, guide or other treatment"),
    Column(
        "Metadata_Concentration",
        pa.float64(),
        "dose of the perturbation; see Metadata_ConcentrationUnit",
    ),
    Column("Metadata_ConcentrationUnit", pa.string(), "unit of the dose, e.g. uM or ordinal"),
    Column(
        "Metadata_ControlType",
        pa.string(),
        "negcon, poscon, trt (treated) or empty (no cells or no treatment)",
    ),
    Column(
        "Metadata_ControlGroup",
        pa.string(),
        "wells whose controls belong together; the plate if empty",
    ),
    Column("Metadata_MOA", pa.string(), "mechanism of action of the perturbation"),
    Column("Metadata_CellLine", pa.string(), "cell line"),
)
