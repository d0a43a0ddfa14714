"""From a plate's folder to rows of `raw_image_catalog`, with every refused file as a problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from phenolake.errors import EmptyFolderError
from phenolake.images.plane_checks import (
    CheckedPlane,
    bounded,
    missing_channels,
    of_one_kind,
    placed,
    plain_role,
    role_of,
    short_stacks,
    with_facts,
    without_doubles,
)
from phenolake.images.planes import PROJECTION_Z, Plane, Problem
from phenolake.images.readers import detect_reader, reader_named
from phenolake.images.stage import wells_by_pitch
from phenolake.images.stored import origins_of
from phenolake.screens.config import ScreenConfig
from phenolake.screens.discover import Plate, Screen, plate_name
from phenolake.screens.plate_map import read_plate_map
from phenolake.tables import RAW_IMAGE_CATALOG

__all__ = ["Catalog", "catalogue_plate", "plain_role", "role_of"]


@dataclass(frozen=True)
class Catalog:
    """What a plate's folder holds: catalogue rows, and what was refused.

    `reader` understood the folder; `plate_wells` is the plate's format where metadata or stage
    positions tell it.
    """

    rows: pl.DataFrame
    problems: list[Problem]
    reader: str = ""
    plate_wells: int | None = None


def catalogue_plate(
    screen: Screen, plate: Plate, checksum: Literal["full", "none"] | None = None
) -> Catalog:
    """List every plane of a plate; bad files become problems and everything else goes on.

    Headers are read, pixels are not; with `checksum="full"` (the screen's default) the bytes of
    every file are read once for their CRC-32.

    Returns
    -------
    Catalog
        `rows` has the columns of `raw_image_catalog`.

    Raises
    ------
    EmptyFolderError
        If the folder holds no image that a reader knows.
    ConfigurationError
        If the plate map, which says the batch, can't be used.
    """
    config = screen.config
    name = config.reader or detect_reader(plate.folder, config.pattern).reader
    reader = reader_named(name, config.pattern)
    problems: list[Problem] = []
    found = (item for item in reader.planes(plate.folder) if _is_of(item, plate))
    planes = without_doubles(placed(found, config, problems), problems)
    checked = list(with_facts(planes, problems, (checksum or config.checksum) == "full"))
    checked = of_one_kind(checked, problems)
    if not checked and not problems:
        raise EmptyFolderError(plate.folder, f"images known to the {name} reader")
    roles = config.roles if config.names_channels else tuple(dict.fromkeys(c.role for c in checked))
    problems.extend(missing_channels(checked, roles))
    if not any(problem.problem == "missing_plane" for problem in problems):
        problems.extend(short_stacks(checked))
    wells = (
        config.wells or reader.plate_wells(plate.folder) or wells_by_pitch(c.plane for c in checked)
    )
    rows = _rows(checked, config, plate, name)
    batches = read_plate_map(screen, plate.key, set(rows["Metadata_Well"])).rows
    rows = rows.drop("Metadata_Batch").join(
        batches.select("Metadata_Well", "Metadata_Batch"), on="Metadata_Well", maintain_order="left"
    )
    return Catalog(rows.select(RAW_IMAGE_CATALOG.column_names), bounded(problems), name, wells)


def _is_of(item: Plane | Problem, plate: Plate) -> bool:
    """Whether an item belongs to this plate; one folder may hold several."""
    named = getattr(item, "plate", None)
    return named is None or not plate.shares_folder or plate_name(named) == plate.key.plate


def _rows(
    planes: Sequence[CheckedPlane], config: ScreenConfig, plate: Plate, reader: str
) -> pl.DataFrame:
    """Catalogue rows in well, site, channel, time and z order; z and t count from the smallest."""
    ordered = sorted(
        planes,
        key=lambda c: (
            c.plane.well.row,
            c.plane.well.column,
            c.plane.site,
            c.role,
            c.plane.t,
            c.plane.z,
        ),
    )
    first_z = min((c.plane.z for c in ordered if c.plane.z != PROJECTION_Z), default=0)
    first_t = min((c.plane.t for c in ordered), default=0)
    here = [c.plane for c in ordered]
    headers = [c.facts.header for c in ordered]
    columns: dict[str, list[object] | pl.Expr | str | None] = {
        "Metadata_Well": [p.well.name for p in here],
        "Metadata_Site": [p.site for p in here],
        "channel": [c.role for c in ordered],
        "channel_name": [p.channel for p in here],
        "z": [p.z if p.z == PROJECTION_Z else p.z - first_z for p in here],
        "t": [p.t - first_t for p in here],
        "uri": [str(p.path) for p in here],
        "origin": [*origins_of([p.path for p in here], plate.folder)],
        "index_in_file": [p.index_in_file for p in here],
        "height": [h.height for h in headers],
        "width": [h.width for h in headers],
        "dtype": [h.dtype for h in headers],
        "pixel_size_um": [p.pixel_size_um or config.pixel_size_um for p in here],
        "projection": [p.projection for p in here],
        "z_step_um": [p.z_step_um for p in here],
        "excitation_nm": [p.excitation_nm for p in here],
        "emission_nm": [p.emission_nm for p in here],
        "exposure_ms": [p.exposure_ms for p in here],
        "stage_x_um": [p.stage_x_um for p in here],
        "stage_y_um": [p.stage_y_um for p in here],
        "stage_z_um": [p.stage_z_um for p in here],
        "bytes": [c.facts.bytes for c in ordered],
        "checksum": [c.checksum for c in ordered],
        "acquired_at": [p.acquired_at for p in here],
        "instrument": [p.instrument for p in here],
    }
    empty = pl.DataFrame(RAW_IMAGE_CATALOG.arrow_schema().empty_table())
    table = pl.DataFrame(columns, schema_overrides={n: empty.schema[n] for n in columns})
    return _with_z_steps(table).with_columns(
        pl.lit(plate.key.screen).alias("Metadata_Screen"),
        pl.lit(plate.key.plate).alias("Metadata_Plate"),
        pl.lit(None, pl.String).alias("Metadata_Batch"),
        pl.lit(reader).alias("source_format"),
    )


def _with_z_steps(table: pl.DataFrame) -> pl.DataFrame:
    """Z steps from heights where the metadata give none: the median step of a stack, in um."""
    stack = ["Metadata_Well", "Metadata_Site", "channel", "t"]
    heights = pl.when(pl.col("z") != PROJECTION_Z).then(pl.col("stage_z_um"))
    step = heights.diff().abs().median().over(stack)
    return table.with_columns(pl.coalesce("z_step_um", pl.when(step > 0).then(step)))
