"""Silver tables: measured from pixels, per site and per cell."""

from __future__ import annotations

import pyarrow as pa

from phenolake.tables import keys
from phenolake.tables.bronze import PER_PLATE
from phenolake.tables.declare import Column, Features, Layer, Table

ILLUMINATION_FUNCTIONS = Table(
    "illumination_functions",
    Layer.SILVER,
    grain="one row per plate and channel",
    key=(*PER_PLATE, "channel"),
    partition_by=PER_PLATE,
    columns=(
        keys.SCREEN,
        keys.PLATE,
        Column("channel", pa.string(), "role of the channel", nullable=False),
        Column(
            "illumination",
            pa.binary(),
            "float32 (height, width), little endian, row order, zstd; applied by `convention`",
            nullable=False,
        ),
        Column("height", pa.int32(), "rows of the function", unit="pixels", nullable=False),
        Column("width", pa.int32(), "columns of the function", unit="pixels", nullable=False),
        Column("images", pa.int32(), "images the function was estimated from", nullable=False),
        Column("method", pa.string(), "how it was estimated", nullable=False),
        Column(
            "background",
            pa.float64(),
            "1st percentile of the darkest fields, 0..1: an upper bound of the camera's offset",
            unit="intensity",
        ),
        Column("convention", pa.string(), "divide or subtract: how raw images are corrected"),
        Column(
            "subtracted", pa.float64(), "background taken off before dividing", unit="intensity"
        ),
        Column(
            "unevenness",
            pa.float64(),
            "largest over smallest value of the function",
            nullable=False,
        ),
    ),
)

IMAGE_QUALITY = Table(
    "image_quality",
    Layer.SILVER,
    grain="one row per site and channel",
    key=(*PER_PLATE, "Metadata_Well", "Metadata_Site", "channel"),
    partition_by=PER_PLATE,
    columns=(
        keys.SCREEN,
        keys.BATCH,
        keys.PLATE,
        keys.WELL,
        keys.SITE,
        Column("channel", pa.string(), "role of the channel", nullable=False),
        Column(
            "focus_score", pa.float64(), "normalized variance of the Laplacian; higher is sharper"
        ),
        Column(
            "power_log_log_slope",
            pa.float64(),
            "slope of log power against log spatial frequency; lower is blurrier",
        ),
        Column(
            "blur_px",
            pa.float64(),
            "blur of edges: SD of a Gaussian; higher is blurrier",
            unit="pixels",
        ),
        Column(
            "blur_octave",
            pa.int32(),
            "whole power of two of blur_px: 0 below 2, 1 from 2 to 4, ...; rank images by it",
        ),
        Column(
            "saturated_fraction", pa.float64(), "share of pixels at the largest value of the type"
        ),
        Column(
            "debris_fraction",
            pa.float64(),
            "share of the field in specks, fibres and patches too bright in two channels at once",
        ),
        Column(
            "dust_fraction",
            pa.float64(),
            "share of the field where most fields of the plate differ alike: dust in the light "
            "path; null with under 16 fields",
        ),
        Column("background", pa.float64(), "5th percentile of the pixels", unit="intensity"),
        Column("median_intensity", pa.float64(), "median of the pixels", unit="intensity"),
        Column("p99_intensity", pa.float64(), "99th percentile of the pixels", unit="intensity"),
        Column("fingerprint", pa.string(), "64-bit hash of the pixels, 16 hex digits"),
        Column(
            "is_blurred", pa.bool_(), "blurrier than the plate's other images (robust) or the limit"
        ),
        Column("is_saturated", pa.bool_(), "more saturated pixels than the screen allows"),
        Column("is_empty", pa.bool_(), "no signal above the background"),
        Column("is_debris", pa.bool_(), "more debris than the limit and the plate's other images"),
        Column(
            "is_background_outlier", pa.bool_(), "background far from the plate's median (robust)"
        ),
        Column("is_duplicate", pa.bool_(), "same pixels as an image of the plate before it"),
        Column("reason", pa.string(), "what is wrong, e.g. blurred, debris; null if nothing"),
        Column(
            "is_usable", pa.bool_(), "false if the screen's rule leaves the site out of profiles"
        ),
    ),
)

SEGMENTATION_MASKS = Table(
    "segmentation_masks",
    Layer.SILVER,
    grain="one row per site and compartment",
    key=(*PER_PLATE, "Metadata_Well", "Metadata_Site", "compartment"),
    partition_by=PER_PLATE,
    columns=(
        keys.SCREEN,
        keys.BATCH,
        keys.PLATE,
        keys.WELL,
        keys.SITE,
        Column("compartment", pa.string(), "Nuclei, Cells or Cytoplasm", nullable=False),
        Column(
            "labels", pa.binary(), "label image (0 = background), losslessly packed", nullable=False
        ),
        Column("codec", pa.string(), "how `labels` is packed", nullable=False),
        Column("height", pa.int32(), "rows of the label image", unit="pixels", nullable=False),
        Column("width", pa.int32(), "columns of the label image", unit="pixels", nullable=False),
        Column(
            "object_count", pa.int32(), "objects in the label image", unit="objects", nullable=False
        ),
        Column("method", pa.string(), "segmentation method and settings", nullable=False),
        Column("model_hash", pa.string(), "sha256 of the weights, where a network was used"),
    ),
)

SINGLE_CELL_FEATURES = Table(
    "single_cell_features",
    Layer.SILVER,
    grain="one row per cell; nuclei, cells and cytoplasm joined by one object number",
    key=(*PER_PLATE, "Metadata_Well", "Metadata_Site", "Metadata_ObjectNumber"),
    partition_by=PER_PLATE,
    columns=(keys.SCREEN, keys.BATCH, keys.PLATE, keys.WELL, keys.SITE, keys.OBJECT),
    features=Features(pa.float32(), "CellProfiler-style feature <Compartment>_<Family>_<Measure>"),
    # Imported cells keep their source and the numbers that CellProfiler gave them.
    free_metadata=True,
)

FEATURE_DICTIONARY = Table(
    "feature_dictionary",
    Layer.SILVER,
    grain="one row per screen and feature column of its cells, fields and profiles",
    key=("Metadata_Screen", "feature"),
    partition_by=("Metadata_Screen",),
    columns=(
        keys.SCREEN,
        Column("feature", pa.string(), "name of the column", nullable=False),
        Column("compartment", pa.string(), "Nuclei, Cells, Cytoplasm or the whole Image"),
        Column("family", pa.string(), "what kind of measurement, e.g. Texture"),
        Column("measure", pa.string(), "what is measured, e.g. Contrast"),
        Column("channels", pa.string(), "channels it is measured in, joined by commas"),
        Column("parameters", pa.string(), "scales and directions of the name, joined by commas"),
        Column("meaning", pa.string(), "the formula in words; null if the column was imported"),
        Column("unit", pa.string(), "unit; empty for ratios and counts"),
        Column("source", pa.string(), "whose definition it is"),
        Column(
            "is_position",
            pa.bool_(),
            "says where or which the object is, not what: no feature for profiles",
            nullable=False,
        ),
    ),
)
