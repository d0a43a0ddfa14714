"""The pages themselves: what each reads and which template shows it."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from phenolake.errors import NotFoundError, UnknownNameError
from phenolake.explorer import links
from phenolake.explorer.cells import treatment_examples
from phenolake.explorer.drawing import (
    curve_svg,
    names_of,
    plate_svg,
    scatter_svg,
    value_legend,
)
from phenolake.explorer.gallery_pages import TREATMENT, clusters_of, gallery_pages
from phenolake.explorer.maps import Maps, methods
from phenolake.explorer.saliency import Saliency
from phenolake.explorer.templating import FOLDER, templates
from phenolake.service.api import AsShown, Name
from phenolake.service.images import Pictures, class_colour
from phenolake.service.reading import LakeReader, value_columns
from phenolake.stages.dose_responses import responses_of_wells

Text = Annotated[str, Query(max_length=300)]
CLUSTER = "Metadata_Cluster"


def _page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    return HTMLResponse(templates().get_template(template).render(**values), status)


def problem_page(message: str, status: int) -> HTMLResponse:
    """Page that says what was wrong with a request."""
    return _page("problem.html", status, message=message)


def pages_of(reader: LakeReader, saliency: Saliency, dagster_url: str = "") -> APIRouter:
    """Pages over one lake; `dagster_url` is where links to runs lead, if anywhere."""
    pages = APIRouter(default_response_class=HTMLResponse)
    pictures, maps = Pictures(reader), Maps(reader)
    page = partial(_page, dagster_url=dagster_url.rstrip("/"))

    @pages.get("/style.css")
    def style() -> Response:
        return Response((FOLDER / "style.css").read_bytes(), media_type="text/css")

    @pages.get("/")
    @pages.get("/screens")
    def screens() -> Response:
        summary = {row["Metadata_Screen"]: row for row in reader.mart("screen_summary").to_dicts()}
        return page("screens.html", names=reader.screens(), summary=summary)

    @pages.get("/api")
    def service(request: Request) -> Response:
        described = request.app.openapi()["paths"]
        return page("api.html", paths=described, address=str(request.base_url).rstrip("/"))

    @pages.get("/screens/{screen}")
    def screen_(screen: Name, readout: Text = "") -> Response:
        plates = reader.plates(screen)
        hits = _treated(reader.mart("hits", screen))
        readouts = hits["readout"].unique().sort().to_list() if hits.height else []
        chosen = readout if readout in readouts else next(iter(readouts), "")
        hits = hits.filter(pl.col("readout") == chosen) if hits.height else hits
        return page(
            "screen.html", screen=screen, plates=plates, readouts=readouts, readout=chosen,
            quality=_by_plate(reader.mart("plate_quality", screen)), hits=hits.head(200).to_dicts(),
            summary=next(iter(reader.mart("screen_summary", screen).to_dicts()), {}),
        )  # fmt: skip

    @pages.get("/screens/{screen}/plates/{plate}")
    def plate_(screen: Name, plate: Name, column: Text = "") -> Response:
        wells = reader.wells(screen, plate)
        columns = value_columns(wells)
        chosen = column or ("Metadata_CellCount" if "Metadata_CellCount" in columns else columns[0])
        if chosen not in columns:
            raise UnknownNameError("column", chosen, columns)
        picture, scale = plate_svg(wells, chosen)
        quality = reader.mart("plate_quality", screen)
        if quality.height:
            quality = quality.filter(pl.col("Metadata_Plate") == plate)
        return page(
            "plate.html", screen=screen, plate=plate, columns=columns, column=chosen,
            picture=picture, scale=scale, quality=quality.to_dicts(), excluded=excluded(screen, plate),
            refused=reader.read("quarantine", reader.plate(screen, plate)).head(500).to_dicts(),
        )  # fmt: skip

    def excluded(screen: str, plate: str) -> list[dict[str, Any]]:
        rows = reader.read("image_quality", reader.plate(screen, plate)).drop_nulls("reason")
        return rows.sort("Metadata_Well", "Metadata_Site", "channel").head(500).to_dicts()

    @pages.get("/screens/{screen}/plates/{plate}/wells/{well}")
    def well_(screen: Name, plate: Name, well: Name, view: AsShown, site: int = 0) -> Response:
        row = reader.well(screen, plate, well)
        name = str(row["Metadata_Well"])
        here = pl.col("Metadata_Well") == name
        where = reader.plate(screen, plate)
        sites = [s.site for s in pictures.sites(screen, plate, name)]
        quality = reader.read("image_quality", where).filter(here)
        predictions = reader.mart("phenotype_shares", screen)
        if predictions.height:
            predictions = predictions.filter(here, pl.col("Metadata_Plate") == plate)
        judged = reader.read("well_predictions", {"Metadata_Screen": screen})
        judged = judged.filter(here, pl.col("Metadata_Plate") == plate)
        return page(
            "well.html", screen=screen, plate=plate, well=name, row=row, sites=sites, view=view,
            site=site if site in sites else sites[0], channels=pictures.channels(screen, plate),
            treatment=[(k, v) for k, v in row.items() if k.startswith("Metadata_") and v is not None],
            quality=quality.to_dicts(), predictions=predictions.to_dicts(), judged=judged.to_dicts(),
            pixel_size=pictures.pixel_size_um(screen, plate),
            channel_colours=pictures.channel_colours(screen, plate, view),
            key=class_key(screen) if view.colour_by == "class" else [],
            neighbours=_neighbours(reader.wells(screen, plate)["Metadata_Well"].to_list(), name),
        )  # fmt: skip

    def class_key(screen: str) -> list[tuple[str, tuple[int, int, int]]]:
        rows = reader.read("model_predictions", {"Metadata_Screen": screen}, ["label"])
        labels = rows["label"].unique().sort().to_list()
        return [(label, class_colour(label, labels)) for label in labels]

    @pages.get("/screens/{screen}/treatment")
    def treatment(screen: Name, perturbation: Text, dose: float | None = None) -> Response:
        table = reader.screen_wells(screen)
        of = table.filter(pl.col("Metadata_Perturbation") == perturbation)
        if of.is_empty():
            raise NotFoundError("perturbation", perturbation, f"screen {screen}")
        doses = of["Metadata_Concentration"].drop_nulls().unique().sort().to_list()
        shown = of.filter(pl.col("Metadata_Concentration") == dose) if dose is not None else of
        controls = table.filter(
            pl.col("Metadata_ControlType") == "negcon",
            pl.col("Metadata_Plate").is_in(shown["Metadata_Plate"].implode()),
        )
        marts: dict[str, Any] = {}
        for name in ("hits", "dose_response", "similar_perturbations"):
            rows = reader.mart(name, screen)
            same = pl.col("Metadata_Perturbation") == perturbation
            marts[name] = rows.filter(same).to_dicts() if rows.height else []
        if dose is not None:
            marts["similar_perturbations"] = [
                row
                for row in marts["similar_perturbations"]
                if row["Metadata_Concentration"] == dose
            ]
        return page(
            "treatment.html", screen=screen, perturbation=perturbation, dose=dose, doses=doses,
            wells=shown.sort("Metadata_Concentration", "Metadata_Plate", "Metadata_Well").to_dicts(),
            examples=treatment_examples(reader, screen, shown, controls, 16), **marts,
        )  # fmt: skip

    @pages.get("/screens/{screen}/curves")
    def curves(screen: Name, response: Text = "") -> Response:
        reader.plates(screen)
        rows = reader.mart("dose_response", screen)
        names = rows["response"].unique().sort().to_list() if rows.height else []
        chosen = response if response in names else next(iter(names), "")
        shown = rows.filter(pl.col("response") == chosen).to_dicts() if names else []
        return page("curves.html", screen=screen, responses=names, response=chosen, curves=shown)

    @pages.get("/screens/{screen}/curve")
    def curve(screen: Name, perturbation: Text, response: Text, unit: Text = "") -> Response:
        reader.plates(screen)
        rows = reader.mart("dose_response", screen)
        found = rows.filter(
            pl.col("Metadata_Perturbation") == perturbation, pl.col("response") == response
        ).to_dicts() if rows.height else []  # fmt: skip
        found = [r for r in found if not unit or r["Metadata_ConcentrationUnit"] == unit]
        if not found:
            raise NotFoundError("curve", f"{perturbation}, {response}", f"screen {screen}")
        wells = responses_of_wells(reader.lake, screen, [response])
        treated = wells.filter(
            pl.col("Metadata_Perturbation") == perturbation,
            pl.col("Metadata_ControlType").fill_null("trt") != "negcon",
        )
        plates = treated["Metadata_Plate"].unique()
        controls = wells.filter(
            pl.col("Metadata_ControlType") == "negcon",
            pl.col("Metadata_Plate").is_in(plates.implode()),
        )
        images = treated.sort("Metadata_Concentration", "Metadata_Plate", "Metadata_Well").unique(
            "Metadata_Concentration", keep="first", maintain_order=True
        )
        return page(
            "curve.html", screen=screen, curve=found[0], images=images.to_dicts(),
            picture=curve_svg(found[0], pl.concat([controls, treated])),
        )  # fmt: skip

    @pages.get("/screens/{screen}/map")
    def map_(
        screen: Name, colour: Text = "Metadata_MOA", correction: Text = "", method: Text = "pca"
    ) -> Response:
        reader.plates(screen)
        profiles = reader.read("batch_corrected_profiles", {"Metadata_Screen": screen})
        corrections = profiles["Metadata_Correction"].unique().sort().to_list()
        if not corrections:
            raise NotFoundError("corrected profile", screen)
        chosen = correction if correction in corrections else corrections[0]
        columns = [c for c in profiles.columns if c.startswith("Metadata_")]
        columns += [CLUSTER] * (CLUSTER not in columns)
        if colour not in columns:
            raise UnknownNameError("column", colour, columns)
        rows, points, axes = maps.of(screen, chosen, method)
        rows = _with_clusters(rows, clusters_of(reader, screen))
        numeric = rows[colour].dtype.is_numeric()
        where = rows.select("Metadata_Plate", "Metadata_Well", "Metadata_Perturbation").rows()
        picture, legend = scatter_svg(
            points, names_of(rows[colour]),
            [links.well_link(screen, plate, well) for plate, well, _ in where],
            [f"{plate} {well}: {name or 'no perturbation'}" for plate, well, name in where], axes,
            values=rows[colour] if numeric else None,
        )  # fmt: skip
        scale = value_legend(rows[colour], colour) if numeric else ""
        return page(
            "map.html", screen=screen, picture=picture, legend=legend, scale=scale, colour=colour,
            columns=columns, correction=chosen, corrections=corrections, method=method, methods=methods(),
        )  # fmt: skip

    pages.include_router(gallery_pages(reader, pictures, saliency, page))
    return pages


def _treated(hits: pl.DataFrame) -> pl.DataFrame:
    return hits.filter(~pl.col("is_control")) if hits.height else hits


def _with_clusters(profiles: pl.DataFrame, clusters: pl.DataFrame) -> pl.DataFrame:
    """The profiles with the cluster of each one's treatment, in words."""
    keys = ["Metadata_Correction", *TREATMENT]
    named = clusters.select(*keys, pl.format("cluster {}", "cluster").alias(CLUSTER))
    return profiles.drop(CLUSTER, strict=False).join(
        named, on=keys, how="left", nulls_equal=True, maintain_order="left"
    )


def _by_plate(quality: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in quality.to_dicts():
        rows.setdefault(row["Metadata_Plate"], []).append(row)
    return rows


def _neighbours(names: list[str], name: str) -> tuple[str | None, str | None]:
    place = names.index(name)
    return (
        names[place - 1] if place else None,
        names[place + 1] if place + 1 < len(names) else None,
    )
