"""Sets of single-cell crops: as Arrow rows, mapped from disk, and shuffled across shards."""

from __future__ import annotations

from phenolake.modeling.crop_sets.arrow_crops import crop_pixels, crop_rows
from phenolake.modeling.crop_sets.mapped import CropSet, map_crops
from phenolake.modeling.crop_sets.shuffled import shuffled_batches

__all__ = ["CropSet", "crop_pixels", "crop_rows", "map_crops", "shuffled_batches"]
