"""What joining compartments found wrong, as problems with well and site."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from phenolake.images.planes import Problem
from phenolake.importing.compartments import JoinReport, leading_compartment
from phenolake.importing.exports import Export, refused

_SHOWN = 10


def join_problems(
    export: Export, images: pl.DataFrame, others: set[int], report: JoinReport, seen: set[int]
) -> Iterator[Problem]:
    """Problems of one export; `others` are images of other plates, `seen` those with cells."""
    place = {image: (well, site) for image, _, well, site in images.iter_rows()}
    leader = leading_compartment(list(export.tables))
    for error, last in report.broken:
        problem = refused(error, *export.place)
        lost = f"; images from number {last} on are left out" if last is not None else ""
        yield _with_got(problem, f"{error.reason}{lost}")
    for name, by_image in report.without_cell.items():
        for image, numbers in by_image.items():
            if image in place:
                yield Problem(
                    f"{name.lower()}_without_{_singular(leader)}",
                    "Fine for objects that the pipeline filtered out; "
                    "`--nuclei-without-cell keep` keeps nuclei as rows.",
                    uri=export.tables[name].origin,
                    well=place[image][0],
                    site=place[image][1],
                    expected=f"a {_singular(leader)} for every object of {name}",
                    got=f"none for {len(numbers)}: {_some(numbers)}",
                )
    for name, by_image in report.without_part.items():
        for image, numbers in by_image.items():
            if image in place:
                yield Problem(
                    f"{leader.lower()}_without_{name.lower()}",
                    "These cells have no values in the columns of that compartment.",
                    uri=export.tables[leader].origin,
                    well=place[image][0],
                    site=place[image][1],
                    expected=f"{name} of every object of {leader}",
                    got=f"none for {len(numbers)}: {_some(numbers)}",
                )
    for name, count in report.doubled.items():
        yield Problem(
            "object_twice",
            "The first row of each object was used.",
            uri=export.tables[name].origin,
            expected="one row per object",
            got=f"{count} more rows",
        )
    unlisted = {
        image: count
        for counts in report.unlisted.values()
        for image, count in counts.items()
        if image not in others
    }
    if unlisted:
        well, site = export.place
        yield Problem(
            "image_not_listed",
            "Export the image table again; the objects of these images are left out until then.",
            uri=str(export.origin),
            well=well,
            site=site,
            expected="a row in the image table for every image number",
            got=f"none for {len(unlisted)} images: {_some(sorted(unlisted))}",
        )
    broken_from = min((last or 0 for _, last in report.broken), default=None)
    for image, (well, site) in place.items():
        if image not in seen and (broken_from is None or image < broken_from):
            yield Problem(
                "no_cells",
                "Look at the site; an empty one is fine and yields no row.",
                uri=str(export.origin),
                well=well,
                site=site,
                expected="at least one cell",
                got="none",
            )
    yield from _field_problems(export)


def _field_problems(export: Export) -> Iterator[Problem]:
    well, site = export.place
    for table in export.tables.values():
        faults = table.faults
        if faults.malformed_rows:
            yield Problem(
                "malformed_rows", "Copy or export the file again; these rows are left out.",
                uri=table.origin, well=well, site=site,
                expected=f"{len(table.columns)} fields in every row",
                got=f"another number of fields in {faults.malformed_rows} rows",
            )  # fmt: skip
        for name, count in sorted(faults.not_numbers.items()):
            if count:
                yield Problem(
                    "not_a_number", "Correct the values; these are null.",
                    uri=table.origin, well=well, site=site,
                    expected=f"numbers in column {name}", got=f"{count} other values",
                )  # fmt: skip
        for name in sorted(faults.text_columns):
            yield Problem(
                "text_column", "Features are numbers; the column is left out.",
                uri=table.origin, well=well, site=site,
                expected=f"numbers in column {name}", got="text",
            )  # fmt: skip


def _with_got(problem: Problem, got: str) -> Problem:
    return replace(problem, got=got)


def _singular(compartment: str) -> str:
    return {"Cells": "cell", "Nuclei": "nucleus"}.get(compartment, compartment.lower())


def _some(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    return shown + (", ..." if len(numbers) > _SHOWN else "")
