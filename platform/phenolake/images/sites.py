"""Sites of a plate as small picklable values, and their pixels as one corrected array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from phenolake.errors import ImageReadError
from phenolake.images.correction import Correction
from phenolake.images.planes import PROJECTION_Z, Problem
from phenolake.images.projection import project
from phenolake.images.stored import plane_at
from phenolake.screens.config import ScreenConfig

Stack = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Site:
    """One field of view: its key, and for each channel role the planes of its z stack.

    `projections` says for each role how the stack becomes one plane; `maximum` if it is empty.
    """

    screen: str
    batch: str | None
    plate: str
    well: str
    site: int
    channels: tuple[str, ...]
    planes: tuple[Stack, ...]
    projections: tuple[str, ...] = ()
    t: int = 0

    @property
    def keys(self) -> dict[str, object]:
        """Key columns of every row made from this site."""
        return {
            "Metadata_Screen": self.screen,
            "Metadata_Batch": self.batch,
            "Metadata_Plate": self.plate,
            "Metadata_Well": self.well,
            "Metadata_Site": self.site,
        }


def complete_sites(catalog: pl.DataFrame, screen: ScreenConfig | Sequence[str]) -> list[Site]:
    """Sites of a plate's catalogue that have every role, in well, site and time order.

    Given a screen's configuration, its roles, projections and time points are used; given roles
    alone, stacks are projected by maximum and of a time series the first time point is taken.
    With `time_points: all`, site n of time point t becomes site t * s + n, s being the power of
    ten above the largest site number, so that every row downstream has its own key.
    """
    if catalog.is_empty():
        return []
    config = screen if isinstance(screen, ScreenConfig) else None
    roles = screen.roles if isinstance(screen, ScreenConfig) else tuple(screen)
    projections = tuple(config.projection_of(role) if config else "maximum" for role in roles)
    chosen = _at_time_points(catalog, config.time_points if config else "first")
    stride = 10 ** len(str(catalog["Metadata_Site"].max()))
    keys = [
        "Metadata_Screen",
        "Metadata_Batch",
        "Metadata_Plate",
        "Metadata_Well",
        "Metadata_Site",
        "t",
    ]
    for later in {"projection", "origin"} - set(chosen.columns):  # a catalogue of the first version
        chosen = chosen.with_columns(pl.lit(None, pl.String).alias(later))
    chosen = _where_to_read(chosen)
    grouped = chosen.sort(*keys[2:], "channel", "z").group_by(keys, maintain_order=True)
    sites = []
    for (name, batch, plate, well, site, t), planes in grouped:
        by_role: dict[str, list[tuple[int, str | None, str, int]]] = {}
        columns = ("channel", "z", "projection", "uri", "index_in_file")
        for role, *plane in planes.select(columns).iter_rows():
            by_role.setdefault(role, []).append(tuple(plane))
        if all(role in by_role for role in roles):
            stacks = tuple(_stack(by_role[r], p) for r, p in zip(roles, projections, strict=True))
            number = site if config is None or config.time_points != "all" else t * stride + site
            sites.append(
                Site(name, batch, plate, well, number, tuple(roles), stacks, projections, t)
            )
    return sites


def read_site(
    site: Site, illumination: Mapping[str, np.ndarray | Correction] | None = None
) -> np.ndarray:
    """Pixels of a site, float32 (channel, y, x), 0 to 1 for integer images.

    Integer pixels are divided by the largest value of their type, as CellProfiler does; a z stack
    becomes one plane by the channel's projection; each channel is divided by its illumination
    function, or corrected as a `Correction` says.

    Raises
    ------
    ImageReadError
        If a plane can't be decoded, or planes or the illumination function differ in shape.
    """
    image: list[np.ndarray] = []
    projections = site.projections or ("maximum",) * len(site.channels)
    for channel, stack, projection in zip(site.channels, site.planes, projections, strict=True):
        planes = (plane_at(uri, index) for uri, index in stack)
        plane = _scaled(project(planes, projection, stack[0][0]))
        light = (illumination or {}).get(channel)
        function = light.function if isinstance(light, Correction) else light
        for other in (*image[:1], *((function,) if function is not None else ())):
            if other.shape != plane.shape:
                raise ImageReadError(
                    stack[0][0], f"expected shape {other.shape}, got {plane.shape}"
                )
        if light is not None:
            light = light if isinstance(light, Correction) else Correction(light)
            plane = light.apply(plane)
        image.append(plane)
    return np.stack(image)


def _at_time_points(catalog: pl.DataFrame, chosen: str | int) -> pl.DataFrame:
    if chosen == "all":
        return catalog
    return catalog.filter(pl.col("t") == (pl.col("t").min() if chosen == "first" else chosen))


def _where_to_read(catalog: pl.DataFrame) -> pl.DataFrame:
    """With the URI in the object store for files that were fetched and are gone here."""
    files = catalog.filter(pl.col("origin").is_not_null())["uri"].unique()
    gone = [uri for uri in files if not Path(uri).exists()]
    here = pl.when(pl.col("uri").is_in(gone)).then("origin").otherwise("uri")
    return catalog.with_columns(uri=here)


def _stack(planes: list[tuple[int, str | None, str, int]], projection: str) -> Stack:
    """The planes to project: those of the stack, or the instrument's own projection.

    Its maximum stands for the stack's, and any projection of its for a stack that is not there.
    """
    acquired = tuple(
        (uri, index) for z, made, uri, index in planes if made is None and z != PROJECTION_Z
    )
    ready = [(uri, index) for _, made, uri, index in planes if made == "maximum"]
    if ready and (projection == "maximum" or not acquired):
        return (ready[0],)
    return acquired or (planes[0][2:],)


def undecodable(site: Site, error: ImageReadError) -> Problem:
    """The problem of a site whose pixels can't be read."""
    return Problem(
        "unreadable_image",
        "Copy the file again from the microscope and materialize the plate again.",
        uri=error.uri,
        well=site.well,
        site=site.site,
        expected="pixels that can be decoded",
        got=error.reason,
    )


def _scaled(plane: np.ndarray) -> np.ndarray:
    if np.issubdtype(plane.dtype, np.integer):
        return plane.astype(np.float32) / np.float32(np.iinfo(plane.dtype).max)
    return np.nan_to_num(plane.astype(np.float32), posinf=0.0, neginf=0.0)
