"""What a report says: figures and pictures of one screen, read from the lake."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from phenolake import __version__
from phenolake.errors import NotFoundError
from phenolake.lake import Lake
from phenolake.pictures import dose_curves, plate_heatmap, profile_map
from phenolake.pictures.composite import png_of
from phenolake.service.images import Pictures, View
from phenolake.service.reading import LakeReader
from phenolake.stages.dose_responses import responses_of_wells
from phenolake.stages.screen_profiles import profiles_of

_MOST_HITS = 50
_MOST_WELLS = 8
_EDGE = 320


@dataclass(frozen=True)
class Picture:
    """A PNG as a data address, with words below."""

    source: str
    words: str


@dataclass(frozen=True)
class Report:
    """Everything the template shows; lists are empty where the lake has nothing to say."""

    screen: str
    made_at: str
    version: str
    summary: dict[str, Any]
    quality: list[dict[str, Any]]
    readout: str
    hits: list[dict[str, Any]]
    hit_count: int
    curves: list[dict[str, Any]]
    models: list[dict[str, Any]]
    problems: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    heatmap: Picture | None
    curve_picture: Picture | None
    map: Picture | None
    wells: list[Picture]


def report_of(lake: Lake, screen: str) -> Report:
    """Contents of the report of a screen.

    Raises
    ------
    NotFoundError
        If the lake has no such screen.
    """
    reader = LakeReader(lake)
    plates = reader.plates(screen)
    quality = reader.mart("plate_quality", screen)
    hits = reader.mart("hits", screen)
    readout = str(hits["readout"][0]) if hits.height else "Metadata_CellCount"
    treated = (
        hits.filter(pl.col("readout") == readout, ~pl.col("is_control")) if hits.height else hits
    )
    found = treated.filter("is_hit") if treated.height else treated
    curves = reader.mart("dose_response", screen)
    if curves.height:
        curves = curves.filter(pl.col("response") == readout).sort("activity_p")
    return Report(
        screen=screen,
        made_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        summary=next(
            iter(reader.mart("screen_summary", screen).to_dicts()), {"plates": len(plates)}
        ),
        quality=quality.to_dicts(),
        readout=readout,
        hits=found.head(_MOST_HITS).to_dicts(),
        hit_count=found.height,
        curves=curves.to_dicts(),
        models=reader.mart("model_comparison", screen).to_dicts(),
        problems=_problems(reader, screen),
        steps=_steps(lake, screen),
        heatmap=_heatmap(lake, screen, readout),
        curve_picture=_curves(lake, screen, curves),
        map=_map(reader, screen),
        wells=_wells(reader, screen, found),
    )


def _problems(reader: LakeReader, screen: str) -> list[dict[str, Any]]:
    """What was refused or flagged, counted."""
    refused = reader.read("quarantine", {"Metadata_Screen": screen})
    flagged = reader.read("image_quality", {"Metadata_Screen": screen}).drop_nulls("reason")
    parts = [
        refused.select(pl.col("problem"), pl.lit("refused").alias("what")),
        flagged.select(pl.col("reason").alias("problem"), pl.lit("flagged image").alias("what")),
    ]
    counted = pl.concat(parts).group_by("what", "problem").len("count")
    return counted.sort("count", descending=True).head(30).to_dicts()


def _steps(lake: Lake, screen: str) -> list[dict[str, Any]]:
    """The newest writing of each table for this screen: version, parameters, run."""
    from phenolake.stages.marts import table_commits

    commits = table_commits(lake).filter(pl.col("Metadata_Screen") == screen, "is_current")
    newest = commits.sort("committed_at").unique("table_name", keep="last")
    return newest.sort("committed_at").to_dicts()


def _heatmap(lake: Lake, screen: str, readout: str) -> Picture | None:
    wells = responses_of_wells(lake, screen, [readout])
    if wells.is_empty() or readout not in wells.columns:
        return None
    return _picture(plate_heatmap(wells, readout), f"{readout} of every well")


def _curves(lake: Lake, screen: str, curves: pl.DataFrame) -> Picture | None:
    if curves.is_empty():
        return None
    wells = responses_of_wells(lake, screen, [curves["response"][0]])
    return _picture(dose_curves(curves.to_dicts(), wells), "Dose-response curves, surest first")


def _map(reader: LakeReader, screen: str) -> Picture | None:
    profiles = reader.read("batch_corrected_profiles", {"Metadata_Screen": screen})
    if profiles.height < 3:
        return None
    method = str(profiles["Metadata_Correction"].unique().sort()[0])
    colours = [
        name
        for name in ("Metadata_MOA", "Metadata_Perturbation", "Metadata_Plate")
        if profiles[name].drop_nulls().n_unique() > 1
    ][:2] or ["Metadata_Plate"]
    return _picture(
        profile_map(profiles_of(profiles, method), colours),
        f"Profiles of wells, correction {method}",
    )


def _wells(reader: LakeReader, screen: str, hits: pl.DataFrame) -> list[Picture]:
    """A well of each of the strongest hits, and controls beside them."""
    pictures = Pictures(reader)
    table = reader.screen_wells(screen)
    if "Metadata_ControlType" not in table.columns:
        return []
    chosen = table.filter(pl.col("Metadata_ControlType") == "negcon").head(2).to_dicts()
    for hit in (
        hits.unique("Metadata_Perturbation", keep="first", maintain_order=True)
        .head(_MOST_WELLS)
        .to_dicts()
    ):
        chosen += table.filter(
            pl.col("Metadata_Perturbation") == hit["Metadata_Perturbation"],
            pl.col("Metadata_Concentration").eq_missing(hit["Metadata_Concentration"]),
        ).head(1).to_dicts()  # fmt: skip
    shown = []
    for row in chosen:
        plate, well = row["Metadata_Plate"], row["Metadata_Well"]
        try:
            first = pictures.sites(screen, plate, well)[0].site
            image = pictures.site(
                screen, plate, well, first, View(outlines=("Nuclei",), edge=_EDGE)
            )
        except (NotFoundError, IndexError):
            continue
        dose = (
            "" if row["Metadata_Concentration"] is None else f" {row['Metadata_Concentration']:g}"
        )
        unit = row["Metadata_ConcentrationUnit"] or ""
        words = f"{row['Metadata_Perturbation'] or 'no perturbation'}{dose} {unit} ({plate} {well})"
        shown.append(_picture(png_of(image), words))
    return shown


def _picture(png: bytes, words: str) -> Picture:
    return Picture(f"data:image/png;base64,{base64.b64encode(png).decode()}", words)
