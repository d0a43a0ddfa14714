"""Sites of a plate as small picklable values, and their pixels as one corrected array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from phenolake.errors import ImageReadError
from phenolake.images.pixels import read_plane
from phenolake.images.planes import Problem


@dataclass(frozen=True, slots=True)
class Site:
    """One field of view: its key, and for each channel role the planes of its z stack."""

    screen: str
    batch: str | None
    plate: str
    well: str
    site: int
    channels: tuple[str, ...]
    planes: tuple[tuple[tuple[str, int], ...], ...]

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


def complete_sites(catalog: pl.DataFrame, roles: Sequence[str]) -> list[Site]:
    """Sites of a plate's catalogue that have every role, in well and site order.

    Of a time series the first time point is taken; all planes of a z stack are kept.
    """
    if catalog.is_empty():
        return []
    first_time = catalog.filter(pl.col("t") == pl.col("t").min())
    sites = []
    keys = ["Metadata_Screen", "Metadata_Batch", "Metadata_Plate", "Metadata_Well", "Metadata_Site"]
    grouped = first_time.sort(*keys[2:], "channel", "z").group_by(keys, maintain_order=True)
    for key, planes in grouped:
        by_role: dict[str, list[tuple[str, int]]] = {}
        for role, uri, index in planes.select("channel", "uri", "index_in_file").iter_rows():
            by_role.setdefault(role, []).append((uri, index))
        if all(role in by_role for role in roles):
            stacks = tuple(tuple(by_role[role]) for role in roles)
            sites.append(Site(*key, channels=tuple(roles), planes=stacks))
    return sites


def read_site(site: Site, illumination: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
    """Pixels of a site, float32 (channel, y, x), 0 to 1 for integer images.

    Integer pixels are divided by the largest value of their type, as CellProfiler does; a z stack
    becomes its maximum projection; each channel is divided by its illumination function.

    Raises
    ------
    ImageReadError
        If a plane can't be decoded, or planes or the illumination function differ in shape.
    """
    image: list[np.ndarray] = []
    for channel, stack in zip(site.channels, site.planes, strict=True):
        plane = _scaled(np.maximum.reduce([read_plane(Path(uri), index) for uri, index in stack]))
        function = (illumination or {}).get(channel)
        for other in (*image[:1], *((function,) if function is not None else ())):
            if other.shape != plane.shape:
                raise ImageReadError(stack[0][0], f"expected shape {other.shape}, got {plane.shape}")
        image.append(plane if function is None else plane / function)
    return np.stack(image)


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
