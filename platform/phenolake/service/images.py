"""Pictures of sites, wells and single cells, made from the raw files that the catalogue names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from phenolake.errors import ImageReadError, NotFoundError
from phenolake.images.sites import Site, complete_sites, read_site
from phenolake.lake import decode_labels
from phenolake.pictures.composite import (
    PSEUDO_COLOURS,
    Rgb,
    colours_for,
    composite,
    draw_outlines,
    draw_scale_bar,
    resized,
    tiled,
)
from phenolake.pictures.overlay import sampled
from phenolake.service.reading import LakeReader, well_name

_CLASS_COLOURS = [PSEUDO_COLOURS[n] for n in ("orange", "blue", "green", "pink", "yellow", "red")]
#: Five colours of viridis, from low to high.
_SCALE = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)])
MOST_CELLS = 100


@dataclass(frozen=True)
class View:
    """How pixels are shown.

    Attributes
    ----------
    channels
        Roles to show; all of the site if empty.
    gain
        Brightness: 2 shows half the intensity as white.
    black
        Share of the range, 0 to 0.95, below which pixels are black.
    outlines
        Compartments whose outlines are drawn.
    colour_by
        Colour of outlines: empty, `class`, or a column of single_cell_features.
    edge
        Longer edge of the picture, pixels.
    """

    channels: tuple[str, ...] = ()
    gain: float = 1.0
    black: float = 0.0
    outlines: tuple[str, ...] = ()
    colour_by: str = ""
    edge: int = 1024


class Pictures:
    """Pictures of a lake's images; reads through a `LakeReader`."""

    def __init__(self, reader: LakeReader) -> None:
        self._reader = reader

    def sites(self, screen: str, plate: str, well: str) -> list[Site]:
        """Sites of a well in order; `NotFoundError` where no image of it is known."""
        where = self._reader.plate(screen, plate)
        name = well_name(well)
        catalog = self._reader.read("raw_image_catalog", where)
        catalog = catalog.filter(pl.col("Metadata_Well") == name)
        if catalog.is_empty():
            raise NotFoundError("image of well", name, f"plate {plate}")
        return complete_sites(catalog, self.channels(screen, plate))

    def channels(self, screen: str, plate: str) -> list[str]:
        """Channel roles of a plate; DNA and the like first, as a person looks at them."""
        where = self._reader.plate(screen, plate)
        names = self._reader.read("raw_image_catalog", where, ["channel"])
        return in_order(names["channel"].unique().to_list())

    def channel_colours(
        self, screen: str, plate: str, view: View
    ) -> dict[str, tuple[int, int, int]]:
        """Colour in which each channel is shown, of those that are."""
        colours = _colours(self.channels(screen, plate), view)
        return {name: PSEUDO_COLOURS[colour] for name, colour in colours.items()}

    def pixel_size_um(self, screen: str, plate: str) -> float | None:
        """Edge of a pixel, where the plate says."""
        where = self._reader.plate(screen, plate)
        sizes = self._reader.read("raw_image_catalog", where, ["pixel_size_um"])
        known = sizes["pixel_size_um"].drop_nulls()
        return float(known[0]) if known.len() else None

    def site(self, screen: str, plate: str, well: str, number: int, view: View) -> Rgb:
        """One site with outlines and a scale bar, uint8 (y, x, 3)."""
        site = self._site(screen, plate, well, number)
        full = _read(site)
        image = resized(full, view.edge)
        picture = self._shown(site, image, view)
        if view.outlines:
            shape = picture.shape[:2]
            masks = {
                compartment: sampled(labels, shape)
                for compartment, labels in self.masks(screen, plate, well, number).items()
                if compartment in view.outlines
            }
            picture = draw_outlines(picture, masks, self._object_colours(site, view.colour_by))
        size = self.pixel_size_um(screen, plate)
        return draw_scale_bar(picture, size and size * full.shape[2] / picture.shape[1])

    def montage(self, screen: str, plate: str, well: str, view: View) -> Rgb:
        """Every site of a well side by side."""
        sites = self.sites(screen, plate, well)
        columns = int(np.ceil(np.sqrt(len(sites))))
        edge = max(64, view.edge // columns)
        return tiled([self._shown(s, resized(_read(s), edge), view) for s in sites], columns)

    def plane(self, screen: str, plate: str, well: str, number: int, channel: str) -> np.ndarray:
        """Pixels of one channel as uint16 (y, x): a float of 0 to 1 is scaled to the full range."""
        site = self._site(screen, plate, well, number)
        if channel not in site.channels:
            raise NotFoundError("channel", channel, f"site {number} of well {well}")
        plane = _read(site)[site.channels.index(channel)]
        return np.round(np.clip(plane, 0, 1) * 65535).astype(np.uint16)

    def masks(self, screen: str, plate: str, well: str, number: int) -> dict[str, np.ndarray]:
        """Label images of a site by compartment, integers (y, x)."""
        where = self._reader.plate(screen, plate)
        rows = self._reader.read("segmentation_masks", where).filter(
            pl.col("Metadata_Well") == well_name(well), pl.col("Metadata_Site") == number
        )
        return {
            row["compartment"]: decode_labels(
                row["labels"], (row["height"], row["width"]), row["codec"]
            )
            for row in rows.iter_rows(named=True)
        }

    def cells(self, cells: pl.DataFrame, view: View, size: int = 96) -> list[Rgb]:
        """A square crop around each cell, in the order of the rows.

        Parameters
        ----------
        cells
            Rows with the key columns and `center_y`, `center_x`, at most 100.
        view
            How to show them.
        size
            Edge of a crop, pixels of the image.
        """
        crops: dict[int, Rgb] = {}
        keys = ["Metadata_Screen", "Metadata_Plate", "Metadata_Well", "Metadata_Site"]
        numbered = cells.head(MOST_CELLS).with_row_index("order")
        for (screen, plate, well, number), rows in numbered.group_by(keys, maintain_order=True):
            site = self._site(str(screen), str(plate), str(well), int(str(number)))
            image = np.pad(_read(site), ((0, 0), (size // 2,) * 2, (size // 2,) * 2))
            for order, y, x in rows.select("order", "center_y", "center_x").iter_rows():
                top, left = round(y), round(x)
                crop = image[:, top : top + size, left : left + size]
                crops[order] = self._shown(site, crop, view)
        return [crops[order] for order in sorted(crops)]

    def _site(self, screen: str, plate: str, well: str, number: int) -> Site:
        for site in self.sites(screen, plate, well):
            if site.site == number:
                return site
        raise NotFoundError("site", number, f"well {well}")

    def _shown(self, site: Site, image: np.ndarray, view: View) -> Rgb:
        colours = _colours(site.channels, view)
        limits = self._limits(site)
        return composite(
            np.stack([image[site.channels.index(name)] for name in colours]),
            [_contrast(limits[name], view) for name in colours],
            list(colours.values()),
        )

    def _limits(self, site: Site) -> dict[str, tuple[float, float]]:
        """Black and white of each channel, the same for all wells of the plate, so they compare."""
        where = {"Metadata_Screen": site.screen, "Metadata_Plate": site.plate}
        quality = self._reader.read("image_quality", where)
        limits = {}
        for channel in site.channels:
            rows = quality.filter(pl.col("channel") == channel)
            low, high = rows["background"].median(), rows["p99_intensity"].quantile(0.95)
            limits[channel] = (float(low), float(high)) if low is not None and high else (0.0, 1.0)  # type: ignore[arg-type]
        return limits

    def _object_colours(
        self, site: Site, colour_by: str
    ) -> Mapping[int, tuple[int, int, int]] | None:
        if not colour_by:
            return None
        where = {"Metadata_Screen": site.screen, "Metadata_Plate": site.plate}
        here = (pl.col("Metadata_Well") == site.well) & (pl.col("Metadata_Site") == site.site)
        if colour_by == "class":
            rows = self._reader.read("model_predictions", {"Metadata_Screen": site.screen})
            names = rows["label"].unique().sort().to_list()
            rows = rows.filter(here, pl.col("Metadata_Plate") == site.plate)
            rows = rows.unique("Metadata_ObjectNumber", keep="last", maintain_order=True)
            numbers = rows.select("Metadata_ObjectNumber", "label").iter_rows()
            colours = {n: class_colour(label, names) for n, label in numbers}
            return colours
        columns = ["Metadata_Well", "Metadata_Site", "Metadata_ObjectNumber", colour_by]
        cells = self._reader.read("single_cell_features", where, columns)
        values = cells[colour_by].cast(pl.Float64).fill_nan(None)
        low, high = values.quantile(0.02), values.quantile(0.98)
        cells = cells.filter(here).drop_nulls(colour_by)
        if low is None or high is None:
            return {}
        shares = (cells[colour_by].to_numpy() - low) / max(high - low, 1e-12)
        return {
            int(number): scale_colour(float(share))
            for number, share in zip(cells["Metadata_ObjectNumber"], shares, strict=True)
        }


def in_order(channels: Sequence[str]) -> list[str]:
    """Channel roles in the order of their colours: DNA first, the others by name."""
    return sorted(channels, key=lambda name: (name not in ("DNA", "Hoechst"), name))


def class_colour(label: str, labels: Sequence[str]) -> tuple[int, int, int]:
    """Colour of a class among its model's classes in order."""
    return _CLASS_COLOURS[list(labels).index(label) % len(_CLASS_COLOURS)]


def scale_colour(share: float) -> tuple[int, int, int]:
    """Colour of a share, 0 to 1, on a scale that all kinds of colour vision read (viridis)."""
    if not np.isfinite(share):
        return (224, 224, 224)
    place = np.clip(share, 0, 1) * (len(_SCALE) - 1)
    at = np.arange(len(_SCALE))
    red, green, blue = (round(float(np.interp(place, at, part))) for part in _SCALE.T)
    return red, green, blue


def _colours(channels: Sequence[str], view: View) -> dict[str, str]:
    """Pseudo-colour of each channel that is shown; one alone is grey."""
    chosen = [name for name in view.channels if name in channels] or list(channels)
    colours = dict(zip(channels, colours_for(len(channels)), strict=True))
    return {name: "grey" if len(chosen) == 1 else colours[name] for name in chosen}


def _contrast(limits: tuple[float, float], view: View) -> tuple[float, float]:
    low, high = limits
    white = low + (high - low) / view.gain
    return low + view.black * (white - low), white


def _read(site: Site) -> np.ndarray:
    try:
        return read_site(site)
    except (ImageReadError, OSError) as error:
        raise NotFoundError("readable image", site.well, f"plate {site.plate}") from error
