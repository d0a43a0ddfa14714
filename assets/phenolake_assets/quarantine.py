"""The quarantine in the lineage: no run makes it alone, every stage of a plate adds to it."""

import dagster as dg

from phenolake.tables import QUARANTINE
from phenolake_assets.columns import table_metadata
from phenolake_assets.field_features import field_features
from phenolake_assets.image_quality import image_quality
from phenolake_assets.objects import objects
from phenolake_assets.partitions import plates
from phenolake_assets.raw_images import plate_map, raw_image_catalog
from phenolake_assets.segmentation_masks import segmentation_masks
from phenolake_assets.single_cell_features import single_cell_features

quarantine = dg.AssetSpec(
    QUARANTINE.name,
    deps=[
        raw_image_catalog,
        plate_map,
        image_quality,
        segmentation_masks,
        objects,
        single_cell_features,
        field_features,
    ],
    partitions_def=plates,
    group_name="bronze",
    kinds={"deltalake"},
    metadata=table_metadata(QUARANTINE),
    description="Every refused file, well and value: where, what was expected, what came, what to do.",
)
