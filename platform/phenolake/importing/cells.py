"""CellProfiler exports as rows of `single_cell_features`, one plate at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa

from phenolake.identity import checked_name
from phenolake.images.planes import Problem
from phenolake.importing.compartments import JoinReport, Unmatched, joined_cells
from phenolake.importing.drift import drift_problems, usual_columns
from phenolake.importing.exports import Export
from phenolake.importing.image_sets import UNPLACED
from phenolake.importing.join_problems import join_problems
from phenolake.importing.keyed_rows import IMAGE, beside

#: Column that says which folder or database a cell came from.
SOURCE = "Metadata_ImportedFrom"


@dataclass
class PlateOfCells:
    """One plate's images by export, and the faults found before any row is read."""

    plate: str
    parts: list[tuple[Export, pl.DataFrame]] = field(default_factory=list)
    faults: list[Problem] = field(default_factory=list)

    def rows(
        self,
        problems: list[Problem],
        unmatched: Unmatched = "report",
        batch: str | None = None,
        *,
        in_order: bool = False,
    ) -> Iterator[pa.Table]:
        """Tables of cells in source order, in bounded memory; faults met are added to `problems`.

        Raises
        ------
        OutOfOrderError
            If an export is not in image order and `in_order` is not set.
        """
        for export, images in self.parts:
            report = JoinReport()
            seen: set[int] = set()
            wells = dict(images.select(IMAGE, "well").iter_rows())
            sites = dict(images.select(IMAGE, "site").iter_rows())
            for cells in joined_cells(
                export.tables, set(wells), report, unmatched, in_order=in_order
            ):
                image = pl.col(IMAGE)
                seen.update(cells.keys[IMAGE].unique())
                keys = cells.keys.select(
                    image.replace_strict(wells, return_dtype=pl.String).alias("Metadata_Well"),
                    image.replace_strict(sites, return_dtype=pl.Int32).alias("Metadata_Site"),
                    image.alias("Metadata_ImageNumber"),
                    pl.lit(str(export.origin)).alias(SOURCE),
                    pl.lit(batch, pl.String).alias("Metadata_Batch"),
                    pl.exclude(IMAGE),
                )
                yield beside(keys.to_arrow(), cells.values)
            others = set(export.images[IMAGE]) - set(wells)
            problems += join_problems(export, images, others, report, seen)


def plates_of_cells(exports: Sequence[Export]) -> list[PlateOfCells]:
    """Group exports by plate, with the faults found so far.

    An export that lacks one of the usual compartments is left out. Two images that claim one site
    are a fault; the first is used. Images without a known well are numbered as sites of a well
    named `unplaced`.
    """
    compartments = usual_columns(export.tables for export in exports if export.tables)
    usual = {
        name: usual_columns(e.tables[name].columns for e in exports if name in e.tables)
        for name in compartments
    }
    known = next((e.images["plate"][0] for e in exports if e.images.height), None)
    plates: dict[str, PlateOfCells] = {}
    taken: dict[tuple[str, str, int], Export] = {}
    unplaced: Counter[str] = Counter()
    for export in exports:
        own = {
            str(key[0]): rows for key, rows in export.images.group_by("plate", maintain_order=True)
        }
        # A folder whose image table is empty names no plate: its faults go to the others' plate.
        names = list(own) or [known or export.origin.parent.name]
        for name in names:
            plates.setdefault(name, PlateOfCells(checked_name("plate", name)))
        plates[names[0]].faults += export.problems + _table_faults(export, compartments, usual)
        if not compartments or not compartments <= set(export.tables):
            continue
        for name, images in own.items():
            plate = plates[name]
            images = _numbered_if_unplaced(images, name, unplaced, export, plate.faults)
            plate.parts.append(
                (export, _one_image_per_site(images, name, taken, export, plate.faults))
            )
    return [plate for _, plate in sorted(plates.items())]


def _table_faults(
    export: Export, compartments: frozenset[str], usual: dict[str, frozenset[str]]
) -> list[Problem]:
    well, site = export.place
    named = [str(problem.uri).casefold() for problem in export.problems]
    faults = [
        Problem(
            "missing_table",
            "Export the site again with every table; it is left out until then.",
            uri=str(export.origin),
            well=well,
            site=site,
            expected=f"tables {', '.join(sorted(compartments))}",
            got=f"no table {name}",
        )
        for name in sorted(compartments - set(export.tables))
        if not any(name.casefold() in uri for uri in named)
    ]
    for name, table in export.tables.items():
        if name in usual:
            faults += drift_problems(table.origin, table.columns, usual[name], well, site)
    return faults


def _numbered_if_unplaced(
    images: pl.DataFrame, plate: str, unplaced: Counter[str], export: Export, faults: list[Problem]
) -> pl.DataFrame:
    """Images without a known well become the next sites of the well `unplaced`."""
    if UNPLACED not in images["well"]:
        return images
    faults.append(
        Problem(
            "well_unknown",
            "Put Image.csv with Metadata_Well beside the tables, or name the folder like A01-1.",
            uri=str(export.origin),
            expected="a well in the image table, a file name or the folder's name",
            got=f"none; its cells are in well {UNPLACED!r}",
        )
    )
    is_unplaced = pl.col("well") == UNPLACED
    first = unplaced[plate]
    unplaced[plate] += images.filter(is_unplaced).height
    return images.with_columns(
        pl.when(is_unplaced)
        .then(first + is_unplaced.cum_sum())
        .otherwise("site")
        .cast(pl.Int64)
        .alias("site")
    )


def _one_image_per_site(
    images: pl.DataFrame,
    plate: str,
    taken: dict[tuple[str, str, int], Export],
    export: Export,
    faults: list[Problem],
) -> pl.DataFrame:
    kept = []
    for well, site in images.select("well", "site").iter_rows():
        holder = taken.get((plate, well, site))
        kept.append(holder is None)
        taken.setdefault((plate, well, site), export)
        if holder is not None:
            faults.append(
                Problem(
                    "site_twice",
                    "Keep one export per site; the first by path was imported.",
                    uri=str(export.origin),
                    well=well,
                    site=site,
                    expected=f"one image for the site, which {holder.origin} has",
                    got="a second image",
                )
            )
    return images.filter(kept)
