"""Plate maps: one value per well, drawn where the well is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from phenolake.errors import ConfigurationError, UnknownNameError
from phenolake.identity import PLATE_FORMATS, Well, row_letters, smallest_format
from phenolake.pictures.png import new_figure, to_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_EMPTY = "0.88"
#: control type -> outline colour and name; told apart without colour by the line
_OUTLINES = {
    "negcon": ("black", "solid", "negative control"),
    "poscon": ("#D55E00", (0, (1.5, 1)), "positive control"),
}
_MOST_PLATES = 20


def plate_heatmap(
    frame: pl.DataFrame | pl.LazyFrame,
    value: str,
    wells: int | None = None,
    title: str = "",
    unit: str = "",
    centre: float | None = None,
) -> bytes:
    """PNG of plates as heatmaps of one value; wells without a value are grey.

    Parameters
    ----------
    frame
        A row per well with `Metadata_Well`; several rows of a well are averaged. Plates
        (`Metadata_Plate`) become small multiples on one colour scale, at most 20. Wells whose
        `Metadata_ControlType` is `negcon` or `poscon` are outlined.
    value
        Column to draw.
    wells
        Plate format (6 to 1536); None takes the smallest that holds the wells.
    title, unit
        Words above the plates and beside the colour bar.
    centre
        Value in the middle of a two-sided colour scale. A unit that names z scores, such as
        `robust z`, sets it to 0.

    Notes
    -----
    With 50 or more wells the colours span the 1st to 99th percentile; the colour bar's pointed
    ends say that values lie beyond.

    Raises
    ------
    UnknownNameError
        If a column or the plate format does not exist.
    """
    table = frame.lazy().collect()
    for name in ("Metadata_Well", value):
        if name not in table.columns:
            raise UnknownNameError("column", name, table.columns)
    if table.is_empty():
        raise ConfigurationError(f"plate_heatmap: no wells to draw for {value!r}")
    positions = {name: Well.parse(name) for name in table["Metadata_Well"].unique().to_list()}
    wells = wells or smallest_format(list(positions.values()))
    if wells not in PLATE_FORMATS:
        raise UnknownNameError("plate format", str(wells), map(str, PLATE_FORMATS))
    plates = _grids(table, value, wells, positions)
    if centre is None and re.search(r"\bz\b", unit):
        centre = 0.0
    return _draw(plates[:_MOST_PLATES], len(plates), _colours(plates, centre), value, title, unit)


_Plate = tuple[str, np.ndarray, dict[str, list[Well]]]


def _grids(table: pl.DataFrame, value: str, wells: int, positions: dict[str, Well]) -> list[_Plate]:
    """Name, values (row, column) and control wells of each plate."""
    if "Metadata_Plate" not in table.columns:
        table = table.with_columns(pl.lit("").alias("Metadata_Plate"))
    plates = []
    for (name,), rows in table.sort("Metadata_Plate").group_by(
        ["Metadata_Plate"], maintain_order=True
    ):
        grid = np.full(PLATE_FORMATS[wells], np.nan)
        means = rows.group_by("Metadata_Well").agg(
            pl.col(value).cast(pl.Float64).fill_nan(None).mean()
        )
        for well, mean in means.iter_rows():
            place = positions[well]
            if not place.fits(wells):
                raise ConfigurationError(f"well {well} does not fit a plate of {wells} wells")
            grid[place.row - 1, place.column - 1] = np.nan if mean is None else mean
        controls = {}
        if "Metadata_ControlType" in rows.columns:
            for kind in _OUTLINES:
                names = rows.filter(pl.col("Metadata_ControlType") == kind)[
                    "Metadata_Well"
                ].unique()
                controls[kind] = [positions[well] for well in names]
        plates.append((str(name), grid, controls))
    return plates


def _colours(plates: list[_Plate], centre: float | None) -> dict[str, Any]:
    """Colour map, limits and the colour bar's ends, shared by all plates."""
    values = np.concatenate([grid.ravel() for _, grid, _ in plates])
    values = values[np.isfinite(values)]
    if not values.size:
        values = np.zeros(1)
    low, high = (
        np.percentile(values, (1, 99)) if values.size >= 50 else (values.min(), values.max())
    )
    if centre is not None:
        reach = max(high - centre, centre - low)
        low, high = centre - reach, centre + reach
    if low == high:
        low, high = low - 0.5, high + 0.5
    ends = ("min" if values.min() < low else "", "max" if values.max() > high else "")
    return {
        "cmap": "viridis" if centre is None else "RdBu_r",
        "limits": (float(low), float(high)),
        "extend": {("min", "max"): "both", ("", ""): "neither"}.get(ends, "".join(ends)),
    }


def _draw(
    plates: list[_Plate], count: int, colours: dict[str, Any], value: str, title: str, unit: str
) -> bytes:
    from matplotlib import colormaps

    columns = min(len(plates), 1 if len(plates) == 1 else 3 if len(plates) <= 9 else 4)
    rows = -(-len(plates) // columns)
    panel = 2.7 if len(plates) <= 9 else 2.1
    width = 5.6 if columns == 1 else panel * columns + 0.6
    height = width * 0.64 if columns == 1 else (0.72 * panel) * rows + 0.7
    figure = new_figure(width, height)
    panels = figure.subplots(rows, columns, squeeze=False)
    cmap = colormaps[colours["cmap"]].with_extremes(bad=_EMPTY)
    low, high = colours["limits"]
    drawn: set[str] = set()
    for axes, (name, grid, controls) in zip(panels.flat, plates, strict=False):
        image = axes.imshow(np.ma.masked_invalid(grid), cmap=cmap, vmin=low, vmax=high)
        _label(axes, grid.shape, small=columns > 1)
        drawn |= _outline(axes, controls, thin=columns > 1 or grid.size > 384)
        if columns > 1:
            axes.set_title(name, fontsize=7, pad=2)
    for axes in list(panels.flat)[len(plates) :]:
        axes.set_axis_off()
    bar = figure.colorbar(
        image, ax=panels, extend=colours["extend"], fraction=0.04, pad=0.02, aspect=20 * rows
    )
    bar.ax.tick_params(labelsize=7)
    bar.set_label(unit or value, fontsize=8)
    more = f" (first {len(plates)} of {count} plates)" if count > len(plates) else ""
    if title or more:
        figure.suptitle(title + more, fontsize=9)
    if drawn:
        _legend(figure, drawn)
    return to_png(figure)


def _label(axes: Axes, shape: tuple[int, ...], small: bool) -> None:
    rows, columns = shape
    size = 5 if small else 7 if rows <= 16 else 6
    row_step = max(1, -(-rows // (8 if small else 16)))
    column_step = max(1, -(-columns // (8 if small else 24)))
    axes.set_yticks(
        range(0, rows, row_step), [row_letters(r + 1) for r in range(0, rows, row_step)]
    )
    axes.set_xticks(
        range(0, columns, column_step), [str(c + 1) for c in range(0, columns, column_step)]
    )
    axes.tick_params(
        length=0, labelsize=size, pad=1, top=False, bottom=False, labeltop=True, labelbottom=False
    )
    for spine in axes.spines.values():
        spine.set_visible(False)
    # Thin white lines keep neighbouring wells apart.
    width = 0.2 if small or rows > 16 else 0.6
    axes.vlines(np.arange(columns + 1) - 0.5, -0.5, rows - 0.5, "white", linewidth=width)
    axes.hlines(np.arange(rows + 1) - 0.5, -0.5, columns - 0.5, "white", linewidth=width)


def _outline(axes: Axes, controls: dict[str, list[Well]], thin: bool) -> set[str]:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    inset, width = (0.4, 0.6) if thin else (0.38, 1.2)
    for kind, wells in controls.items():
        colour, line, _ = _OUTLINES[kind]
        boxes = [
            Rectangle((well.column - 1 - inset, well.row - 1 - inset), 2 * inset, 2 * inset)
            for well in wells
        ]
        # White below, so that the outline shows on dark wells too.
        for edge, style, extra in (("white", "solid", 1.2), (colour, line, 0)):
            axes.add_collection(
                PatchCollection(
                    boxes,
                    facecolor="none",
                    edgecolor=edge,
                    linestyle=style,
                    linewidth=width + extra,
                )
            )
    return {kind for kind, wells in controls.items() if wells}


def _legend(figure: Any, kinds: set[str]) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor="none", edgecolor=colour, linestyle=line, label=name)
        for kind, (colour, line, name) in _OUTLINES.items()
        if kind in kinds
    ]
    handles.append(Patch(facecolor=_EMPTY, label="no value"))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), fontsize=7, frameon=False
    )
