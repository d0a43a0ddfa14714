"""Silver table of what is measured of a whole field of view."""

from __future__ import annotations

import pyarrow as pa

from phenolake.tables import keys
from phenolake.tables.bronze import PER_PLATE
from phenolake.tables.declare import Features, Layer, Table

FIELD_FEATURES = Table(
    "field_features",
    Layer.SILVER,
    grain="one row per site: its intensities, what its objects cover and how many there are",
    key=(*PER_PLATE, "Metadata_Well", "Metadata_Site"),
    partition_by=PER_PLATE,
    columns=(keys.SCREEN, keys.BATCH, keys.PLATE, keys.WELL, keys.SITE),
    features=Features(pa.float32(), "CellProfiler-style feature of the field, Image_<Family>_..."),
)
