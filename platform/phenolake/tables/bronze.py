"""Bronze tables: what arrived, as it arrived, and what was refused."""

from __future__ import annotations

import pyarrow as pa

from phenolake.tables import keys
from phenolake.tables.declare import Column, Layer, Table

PER_PLATE = ("Metadata_Screen", "Metadata_Plate")

RAW_IMAGE_CATALOG = Table(
    "raw_image_catalog",
    Layer.BRONZE,
    grain="one row per image plane (site, channel, z, time)",
    key=(*PER_PLATE, "Metadata_Well", "Metadata_Site", "channel", "z", "t"),
    partition_by=PER_PLATE,
    columns=(
        keys.SCREEN,
        keys.BATCH,
        keys.PLATE,
        keys.WELL,
        keys.SITE,
        Column("channel", pa.string(), "role of the channel, e.g. DNA", nullable=False),
        Column("channel_name", pa.string(), "channel as acquired, e.g. w1 or Hoechst"),
        Column(
            "z",
            pa.int32(),
            "plane in the stack, from 0; -1 for a projection that the instrument made beside the stack",
            nullable=False,
        ),
        Column("t", pa.int32(), "time point, from 0", nullable=False),
        Column("uri", pa.string(), "where the image file is", nullable=False),
        Column(
            "origin",
            pa.string(),
            "where it is in the object store that it was fetched from; read there once it is gone here",
        ),
        Column(
            "index_in_file", pa.int32(), "page of the plane in its file, from 0", nullable=False
        ),
        Column("height", pa.int32(), "image height", unit="pixels", nullable=False),
        Column("width", pa.int32(), "image width", unit="pixels", nullable=False),
        Column("dtype", pa.string(), "pixel type, e.g. uint16", nullable=False),
        Column("pixel_size_um", pa.float64(), "edge of a pixel in the sample", unit="um"),
        Column(
            "projection",
            pa.string(),
            "how the instrument projected a stack to this plane, e.g. maximum",
        ),
        Column("z_step_um", pa.float64(), "distance to the next plane of the stack", unit="um"),
        Column("excitation_nm", pa.float64(), "main excitation wavelength", unit="nm"),
        Column("emission_nm", pa.float64(), "main emission wavelength", unit="nm"),
        Column("exposure_ms", pa.float64(), "exposure time", unit="ms"),
        Column(
            "stage_x_um", pa.float64(), "position in the instrument's coordinates, x", unit="um"
        ),
        Column(
            "stage_y_um", pa.float64(), "position in the instrument's coordinates, y", unit="um"
        ),
        Column("stage_z_um", pa.float64(), "height in the instrument's coordinates", unit="um"),
        Column("bytes", pa.int64(), "size of the image file", unit="bytes", nullable=False),
        Column(
            "checksum",
            pa.string(),
            "crc32 of the file's bytes, as crc32:<8 hex digits>; empty if not asked for",
        ),
        Column("acquired_at", pa.timestamp("us", tz="UTC"), "time of acquisition"),
        Column("instrument", pa.string(), "microscope"),
        Column("source_format", pa.string(), "reader that understood the file", nullable=False),
    ),
)

PLATE_MAP = Table(
    "plate_map",
    Layer.BRONZE,
    grain="one row per well",
    key=(*PER_PLATE, "Metadata_Well"),
    partition_by=PER_PLATE,
    columns=(
        keys.SCREEN,
        keys.BATCH,
        keys.PLATE,
        keys.WELL,
        *keys.TREATMENT,
        Column("Metadata_SMILES", pa.string(), "structure of the compound"),
    ),
    free_metadata=True,
)

QUARANTINE = Table(
    "quarantine",
    Layer.BRONZE,
    grain="one row per refused file, site, well or value",
    key=(*PER_PLATE, "stage", "number"),
    partition_by=(*PER_PLATE, "stage"),
    columns=(
        keys.SCREEN,
        keys.PLATE,
        Column("stage", pa.string(), "asset that refused it; inbox: a link there", nullable=False),
        Column("number", pa.int32(), "running number within plate and stage", nullable=False),
        Column("Metadata_Well", pa.string(), "well name where it is known"),
        Column("Metadata_Site", pa.int32(), "field of view where it is known"),
        Column("channel", pa.string(), "channel role or name where it is known"),
        Column("uri", pa.string(), "file concerned"),
        Column("problem", pa.string(), "kind of fault, e.g. unreadable_image", nullable=False),
        Column("expected", pa.string(), "what was expected"),
        Column("got", pa.string(), "what came"),
        Column("advice", pa.string(), "what to do about it"),
        Column("run_id", pa.string(), "Dagster run that refused it"),
        Column("found_at", pa.timestamp("us", tz="UTC"), "when it was refused", nullable=False),
    ),
)
