"""Addresses of the pages: every view has one that can be kept and sent."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

import polars as pl

Query = dict[str, object]


def link(*parts: object, **query: object) -> str:
    """Path of a page from its parts, each quoted; query values of None are left out."""
    path = "/" + "/".join(quote(str(part), safe="") for part in parts)
    given = {name: value for name, value in query.items() if value not in (None, "", ())}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path


def screen_link(screen: str, *parts: object, **query: object) -> str:
    """Page of a screen, or one below it."""
    return link("screens", screen, *parts, **query)


def plate_link(screen: str, plate: str, **query: object) -> str:
    """Page of a plate."""
    return screen_link(screen, "plates", plate, **query)


def well_link(screen: str, plate: str, well: str, **query: object) -> str:
    """Page of a well."""
    return screen_link(screen, "plates", plate, "wells", well, **query)


def image_link(screen: str, plate: str, well: str, site: int, **view: object) -> str:
    """Picture of a site."""
    return "/api" + screen_link(
        screen, "plates", plate, "wells", well, "sites", site, "image.png", **view
    )


def montage_link(screen: str, plate: str, well: str, **view: object) -> str:
    """Picture of all sites of a well."""
    return "/api" + screen_link(screen, "plates", plate, "wells", well, "montage.png", **view)


def treatment_link(screen: str, perturbation: str, dose: object = None) -> str:
    """Page of a treatment. Names of compounds hold anything, so they are in the query."""
    return screen_link(screen, "treatment", perturbation=perturbation, dose=dose)


def saliency_link(screen: str, model: str, version: str, label: str, cells: pl.DataFrame) -> str:
    """Picture of where a network looks in cells, rows with their key columns."""
    keys = ("Metadata_Plate", "Metadata_Well", "Metadata_Site", "Metadata_ObjectNumber")
    named = ["/".join(map(str, row)) for row in cells.select(keys).iter_rows()]
    return screen_link(
        screen, "saliency.png", model=model, version=version, label=label, cell=named
    )


def cells_link(cells: Sequence[str], **view: object) -> str:
    """Picture of a gallery of cells, each `plate/well/site/y/x`."""
    return link("cells.png", cell=list(cells), **view)
