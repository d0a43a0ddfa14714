"""The service's addresses under /api: tables, images, masks and SQL, all read-only."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from phenolake.errors import NotFoundError
from phenolake.lake.apart import sql_apart
from phenolake.lake.query import QueryLimits
from phenolake.pictures.composite import png_of
from phenolake.service.answers import ARROW, Format, answer
from phenolake.service.images import Pictures, View
from phenolake.service.reading import LakeReader

MOST_ROWS = 100_000
_SQL_LIMITS = QueryLimits(seconds=30, memory_bytes=2**30)

Name = Annotated[str, Path(min_length=1, max_length=128)]
SiteNumber = Annotated[int, Path(ge=0, le=2**31 - 1)]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="rows at most")]
Offset = Annotated[int, Query(ge=0, le=2**40, description="rows to skip")]
Output = Annotated[Format, Query(alias="format", description="json, or an Arrow IPC stream")]
Columns = Annotated[
    list[str] | None,
    Query(description="columns to return; repeatable; default: all", max_length=500),
]
Channels = Annotated[list[str], Query(description="channel roles; default: all", max_length=20)]
Outlines = Annotated[
    list[Literal["Nuclei", "Cells", "Cytoplasm"]],
    Query(description="outlines to draw", max_length=3),
]
Gain = Annotated[float, Query(ge=0.05, le=50, description="brightness")]
Black = Annotated[
    float, Query(ge=0, le=0.95, description="share of the range below which pixels are black")
]
Edge = Annotated[int, Query(ge=16, le=4096, description="longer edge of the picture, pixels")]

_Responses = dict[int | str, dict[str, Any]]
_PNG: _Responses = {200: {"content": {"image/png": {}}, "description": "a PNG picture"}}
_ROWS: _Responses = {
    200: {
        "content": {"application/json": {"schema": {"type": "array"}}, ARROW: {}},
        "description": "rows, a page at a time; X-Total-Rows counts all",
    }
}
_PROBLEMS: _Responses = {
    404: {"description": "the lake has no such thing"},
    400: {"description": "the query or a name in it is wrong"},
}


class Screens(BaseModel):
    """Names of the screens."""

    screens: list[str]


class Plates(BaseModel):
    """Names of a screen's plates."""

    plates: list[str]


class Statement(BaseModel):
    """One reading SQL statement over the schemas bronze, silver, gold and marts."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(min_length=1, max_length=100_000)
    limit: int = Field(10_000, ge=1, le=MOST_ROWS)


def view_of(
    channels: Channels = [],  # noqa: B006  (FastAPI copies defaults)
    outlines: Outlines = [],  # noqa: B006
    gain: Gain = 1.0,
    black: Black = 0.0,
    colour_by: Annotated[
        str, Query(max_length=200, description="class, or a feature, as the outlines' colour")
    ] = "",
    edge: Edge = 1024,
) -> View:
    """How pixels are shown, from the query of an address."""
    return View(tuple(channels), gain, black, tuple(outlines), colour_by, edge)


AsShown = Annotated[View, Depends(view_of)]


def api_of(reader: LakeReader) -> APIRouter:
    """Addresses of the service over one lake."""
    api = APIRouter(prefix="/api", responses=_PROBLEMS)
    pictures = Pictures(reader)

    @api.get("/screens")
    def screens() -> Screens:
        """Screens of the lake."""
        return Screens(screens=reader.screens())

    @api.get("/screens/{screen}/plates")
    def plates(screen: Name) -> Plates:
        """Plates of a screen."""
        return Plates(plates=reader.plates(screen))

    @api.get("/screens/{screen}/plates/{plate}/wells", response_class=Response, responses=_ROWS)
    def wells(
        screen: Name, plate: Name, columns: Columns = None, limit: Limit = 1536,
        offset: Offset = 0, output: Output = "json",
    ) -> Response:  # fmt: skip
        """Wells of a plate: treatment and raw profile."""
        return _page(reader.wells(screen, plate), columns, limit, offset, output)

    @api.get("/screens/{screen}/plates/{plate}/cells", response_class=Response, responses=_ROWS)
    def cells(
        screen: Name, plate: Name, well: str | None = None, columns: Columns = None,
        limit: Limit = 1000, offset: Offset = 0, output: Output = "json",
    ) -> Response:  # fmt: skip
        """Cells of a plate or a well with their features."""
        where = reader.plate(screen, plate)
        rows, total = reader.part("single_cell_features", where, columns, limit, offset, well)
        return answer(rows, output, total)

    @api.get("/screens/{screen}/profiles", response_class=Response, responses=_ROWS)
    def profiles(
        screen: Name,
        table: Literal[
            "well_profiles", "normalized_profiles", "batch_corrected_profiles", "consensus_profiles"
        ] = "well_profiles",
        columns: Columns = None, limit: Limit = 1000, offset: Offset = 0, output: Output = "json",
    ) -> Response:  # fmt: skip
        """Profiles of a screen."""
        reader.plates(screen)
        rows, total = reader.part(table, {"Metadata_Screen": screen}, columns, limit, offset)
        return answer(rows, output, total)

    @api.get("/screens/{screen}/predictions", response_class=Response, responses=_ROWS)
    def predictions(
        screen: Name, well: str | None = None, columns: Columns = None, limit: Limit = 1000,
        offset: Offset = 0, output: Output = "json",
    ) -> Response:  # fmt: skip
        """What the models say of each cell, with uncertainty."""
        reader.plates(screen)
        where = {"Metadata_Screen": screen}
        rows, total = reader.part("model_predictions", where, columns, limit, offset, well)
        return answer(rows, output, total)

    @api.get("/marts/{mart}", response_class=Response, responses=_ROWS)
    def mart(
        mart: Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,62}$")], screen: str | None = None,
        columns: Columns = None, limit: Limit = 1000, offset: Offset = 0, output: Output = "json",
    ) -> Response:  # fmt: skip
        """Rows of a mart such as hits, plate_quality or dose_response."""
        if ("marts", mart) not in reader.lake.tables():
            raise NotFoundError("mart", mart)
        return _page(reader.mart(mart, screen), columns, limit, offset, output)

    @api.post("/sql", response_class=Response, responses=_ROWS)
    def sql(statement: Statement, output: Output = "json") -> Response:
        """Answer of one reading SQL statement, limited in time, memory and rows."""
        rows, total = sql_apart(reader.lake, statement.query, _SQL_LIMITS, statement.limit)
        return answer(rows, output, total)

    site = "/screens/{screen}/plates/{plate}/wells/{well}/sites/{number}"

    @api.get(site + "/image.png", response_class=Response, responses=_PNG)
    def image(screen: Name, plate: Name, well: Name, number: SiteNumber, view: AsShown) -> Response:
        """A site in pseudo-colours; brightness is the same for all wells of a plate."""
        return _png(pictures.site(screen, plate, well, number, view))

    @api.get(site + "/channels/{channel}.png", response_class=Response, responses=_PNG)
    def plane(screen: Name, plate: Name, well: Name, number: SiteNumber, channel: Name) -> Response:
        """Pixels of one channel, 16 bit grey, uncorrected; the type's full range is 0 to 65535."""
        return _png(pictures.plane(screen, plate, well, number, channel))

    @api.get(site + "/masks/{compartment}.png", response_class=Response, responses=_PNG)
    def mask(
        screen: Name, plate: Name, well: Name, number: SiteNumber,
        compartment: Literal["Nuclei", "Cells", "Cytoplasm"],
    ) -> Response:  # fmt: skip
        """Label image, 16 bit grey: 0 is background, n the object with that number."""
        masks = pictures.masks(screen, plate, well, number)
        if compartment not in masks:
            raise NotFoundError("mask", compartment, f"site {number} of well {well}")
        return _png(masks[compartment].astype(np.uint16))

    @api.get("/screens/{screen}/plates/{plate}/wells/{well}/montage.png", response_class=Response,
             responses=_PNG)  # fmt: skip
    def montage(screen: Name, plate: Name, well: Name, view: AsShown) -> Response:
        """All sites of a well side by side."""
        return _png(pictures.montage(screen, plate, well, view))

    return api


def _png(picture: np.ndarray) -> Response:
    return Response(
        png_of(picture), media_type="image/png", headers={"Cache-Control": "max-age=60"}
    )


def _page(
    rows: pl.DataFrame, columns: list[str] | None, limit: int, offset: int, output: Format
) -> Response:
    unknown = [name for name in columns or () if name not in rows.columns]
    if unknown:
        raise NotFoundError("column", unknown[0], "the table")
    chosen = rows.select(list(dict.fromkeys(columns))) if columns else rows
    return answer(chosen.slice(offset, limit), output, rows.height)
