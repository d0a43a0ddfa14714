"""Pages of single cells: of a class, of a cluster of treatments, and where a network looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse

from phenolake.errors import NotFoundError
from phenolake.explorer.cells import class_examples, treatment_examples
from phenolake.explorer.saliency import CellKey, Saliency
from phenolake.pictures.composite import png_of, tiled
from phenolake.service.api import AsShown, Name
from phenolake.service.images import Pictures
from phenolake.service.reading import LakeReader

Text = Annotated[str, Query(max_length=300)]
_Cells = Annotated[list[str], Query(max_length=100)]
_CELLS = 24
_SALIENT_CELLS = 8
_MOST_WELLS = 24
TREATMENT = ["Metadata_Perturbation", "Metadata_Concentration", "Metadata_ConcentrationUnit"]


def gallery_pages(
    reader: LakeReader, pictures: Pictures, saliency: Saliency, page: Callable[..., Response]
) -> APIRouter:
    """Pages over one lake; `page` renders a template."""
    pages = APIRouter(default_response_class=HTMLResponse)

    @pages.get("/screens/{screen}/classes")
    def classes(screen: Name, model: Text = "", label: Text = "") -> Response:
        reader.plates(screen)
        rows = reader.read("model_predictions", {"Metadata_Screen": screen})
        models = rows["model_name"].unique().sort().to_list()
        chosen = model if model in models else next(iter(models), "")
        of_model = rows.filter(pl.col("model_name") == chosen)
        labels = of_model["label"].unique().sort().to_list()
        shown = label if label in labels else next(iter(labels), "")
        return page(
            "classes.html", screen=screen, models=models, model=chosen, labels=labels, label=shown,
            version=_newest(of_model), comparison=reader.mart("model_comparison", screen).to_dicts(),
            examples=class_examples(reader, screen, chosen, shown, _CELLS) if shown else [],
        )  # fmt: skip

    @pages.get("/screens/{screen}/saliency")
    def saliency_(screen: Name, model: Text, version: Text, label: Text) -> Response:
        reader.plates(screen)
        why_not = saliency.why_not(screen, model, version)
        found = [] if why_not else class_examples(reader, screen, model, label, _SALIENT_CELLS)
        return page(
            "saliency.html", screen=screen, model=model, version=version, label=label,
            why_not=why_not, examples=found,
        )  # fmt: skip

    @pages.get("/screens/{screen}/saliency.png")
    def saliency_picture(
        screen: Name, model: Text, version: Text, label: Text, cell: _Cells
    ) -> Response:
        cells = [_cell_key(text) for text in cell]
        return _png(saliency.picture(screen, model, version, label, cells))

    @pages.get("/screens/{screen}/clusters")
    def clusters(screen: Name, correction: Text = "", cluster: int = 0) -> Response:
        reader.plates(screen)
        table = clusters_of(reader, screen)
        corrections = table["Metadata_Correction"].unique().sort().to_list()
        chosen = correction if correction in corrections else next(iter(corrections), "")
        treatments = table.filter(pl.col("Metadata_Correction") == chosen)
        listed = _cluster_list(treatments)
        numbers = [row["cluster"] for row in listed]
        shown = cluster if cluster in numbers else next(iter(numbers), 0)
        members = treatments.filter(pl.col("cluster") == shown)
        return page(
            "clusters.html", screen=screen, corrections=corrections, correction=chosen,
            clusters=listed, cluster=shown, members=members.to_dicts(),
            examples=_cluster_examples(reader, screen, members) if members.height else [],
        )  # fmt: skip

    @pages.get("/cells.png")
    def cells_picture(
        cell: _Cells, view: AsShown, size: Annotated[int, Query(ge=16, le=512)] = 96
    ) -> Response:
        crops = pictures.cells(_places(cell), view, size)
        return _png(tiled(crops, min(len(crops), 8)))

    return pages


def clusters_of(reader: LakeReader, screen: str) -> pl.DataFrame:
    """Treatments of a screen with the cluster each belongs to, a row per correction."""
    rows = reader.read("profile_similarity", {"Metadata_Screen": screen})
    keys = ["Metadata_Correction", *TREATMENT]
    return rows.drop_nulls("cluster").unique(keys, maintain_order=True).sort("cluster", *keys)


def _cluster_list(treatments: pl.DataFrame) -> list[dict[str, Any]]:
    """Each cluster with its treatments and mechanisms, the largest first."""
    mechanism = pl.col("Metadata_MOA").drop_nulls()
    rows = treatments.group_by("cluster").agg(
        pl.len().alias("treatments"),
        pl.col("Metadata_Perturbation").unique().sort().alias("perturbations"),
        mechanism.unique().sort().alias("mechanisms"),
    )
    return rows.sort("treatments", "cluster", descending=[True, False]).to_dicts()


def _cluster_examples(reader: LakeReader, screen: str, members: pl.DataFrame) -> list[Any]:
    table = reader.screen_wells(screen)
    wells = table.join(members.select(TREATMENT), on=TREATMENT, how="semi", nulls_equal=True)
    # As many wells of each treatment as there is room for.
    number = pl.int_range(pl.len()).over(TREATMENT)
    wells = wells.sort(number, maintain_order=True).head(_MOST_WELLS)
    controls = table.filter(
        pl.col("Metadata_ControlType") == "negcon",
        pl.col("Metadata_Plate").is_in(wells["Metadata_Plate"].implode()),
    )
    return treatment_examples(reader, screen, wells, controls.head(_MOST_WELLS), _CELLS)


def _newest(rows: pl.DataFrame) -> str:
    versions = rows["model_version"].unique().to_list()
    return max(versions, key=lambda v: (len(v), v), default="")


def _places(texts: list[str]) -> pl.DataFrame:
    """Cells of an address, each `screen/plate/well/site/y/x`."""
    rows = []
    for text in texts:
        try:
            screen, plate, well, site, y, x = text.split("/")
            rows.append((screen, plate, well, int(site), float(y), float(x)))
        except ValueError as error:
            raise NotFoundError("cell", text) from error
    keys = ["Screen", "Plate", "Well", "Site"]
    return pl.DataFrame(
        rows, [*(f"Metadata_{k}" for k in keys), "center_y", "center_x"], orient="row"
    )


def _cell_key(text: str) -> CellKey:
    """A cell of an address, `plate/well/site/object`."""
    try:
        plate, well, site, number = text.split("/")
        return plate, well, int(site), int(number)
    except ValueError as error:
        raise NotFoundError("cell", text) from error


def _png(picture: Any) -> Response:
    return Response(png_of(picture), media_type="image/png")
