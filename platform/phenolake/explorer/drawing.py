"""Plates, maps and curves as SVG whose wells and points are links, so that a keyboard reaches them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup, escape

from phenolake.dose_response.hill import fitted_values
from phenolake.explorer.links import well_link
from phenolake.identity import PLATE_FORMATS, Well, row_letters, smallest_format
from phenolake.service.images import scale_colour

_OUTLINE = {
    "negcon": ("#000", "none", "negative control"),
    "poscon": ("#D55E00", "3 2", "positive control"),
}
#: Okabe and Ito's colours, then the same as squares.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B8A800", "#000000")
_SIZE = (720, 460)
_CELL = 28


def legend_bar(low: float, high: float, name: str) -> Markup:
    """The colour scale with the values at its ends."""
    steps = "".join(f'<i style="background:{_rgb(i / 19)}"></i>' for i in range(20))
    return Markup('<p class="scale">{} <span class="bar">{}</span> {} <b>{}</b></p>').format(
        f"{low:.4g}", Markup(steps), f"{high:.4g}", name
    )


def plate_svg(wells: pl.DataFrame, column: str) -> tuple[Markup, Markup]:
    """A plate's wells coloured by a column, each a link to its page; and the colour scale.

    The colours span the 2nd to 98th percentile; a well without a value is grey, a place without a
    well a dotted line.
    """
    places = {name: Well.parse(name) for name in wells["Metadata_Well"]}
    rows, columns = PLATE_FORMATS[smallest_format(list(places.values()))]
    values = wells[column].cast(pl.Float64).fill_nan(None)
    low, high = values.quantile(0.02), values.quantile(0.98)
    low, high = (0.0, 1.0) if low is None or high is None else (low, high)
    parts = [
        Markup('<svg class="plate" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            (columns + 1) * _CELL, (rows + 1) * _CELL, f"plate coloured by {column}"
        )
    ]
    parts += [_label((i + 1.5) * _CELL, 0.6 * _CELL, str(i + 1)) for i in range(columns)]
    parts += [_label(0.5 * _CELL, (i + 1.65) * _CELL, row_letters(i + 1)) for i in range(rows)]
    there = {(place.row, place.column) for place in places.values()}
    parts += [
        Markup('<rect class="absent" x="{}" y="{}" width="{}" height="{}" rx="4"/>').format(
            (column + 1) * _CELL + 4, (row + 1) * _CELL + 4, _CELL - 8, _CELL - 8
        )
        for row in range(rows)
        for column in range(columns)
        if (row + 1, column + 1) not in there
    ]
    for row, value in zip(wells.iter_rows(named=True), values, strict=True):
        parts.append(_well(row, value, places[row["Metadata_Well"]], (low, high), column))
    return Markup("").join([*parts, Markup("</svg>")]), legend_bar(low, high, column)


def _well(
    row: Mapping[str, Any], value: float | None, place: Well, ends: tuple[float, float], name: str
) -> Markup:
    low, high = ends
    share = float("nan") if value is None else (value - low) / max(high - low, 1e-12)
    stroke, dash, words = _OUTLINE.get(row.get("Metadata_ControlType") or "", ("none", "none", ""))
    treatment = " ".join(
        str(row[key])
        for key in ("Metadata_Perturbation", "Metadata_Concentration", "Metadata_ConcentrationUnit")
        if row.get(key) is not None
    )
    shown = "no value" if value is None else f"{value:.4g}"
    title = f"{row['Metadata_Well']}: {name} {shown}. {treatment} {words}".strip()
    return Markup(
        '<a href="{}"><rect x="{}" y="{}" width="{}" height="{}" rx="4" fill="{}" stroke="{}" '
        'stroke-width="2" stroke-dasharray="{}"><title>{}</title></rect></a>'
    ).format(
        well_link(row["Metadata_Screen"], row["Metadata_Plate"], row["Metadata_Well"]),
        place.column * _CELL + 2, place.row * _CELL + 2, _CELL - 4, _CELL - 4,
        _rgb(share), stroke, dash, title,
    )  # fmt: skip


def scatter_svg(
    points: np.ndarray,
    labels: Sequence[str | None],
    links: Sequence[str],
    titles: Sequence[str],
    axes: tuple[str, str],
    values: pl.Series | None = None,
) -> tuple[Markup, list[tuple[str, str, bool]]]:
    """Points of shape (2, n) coloured by label, each a link; and of each label its
    colour and whether its points are round.

    The 15 most common labels have a colour and shape of their own; the others are grey. With
    numeric `values` points are coloured by these instead, and no label has a colour.
    """
    counts = pl.Series(labels, dtype=pl.String).drop_nulls().value_counts(sort=True, name="n")
    common = sorted(counts.head(2 * len(PALETTE) - 1).to_series(0).to_list())
    style = {name: (PALETTE[i % len(PALETTE)], i // len(PALETTE)) for i, name in enumerate(common)}
    shades = None if values is None else _shades(values)
    style = {} if shades else style
    x, y = (_along(part, size) for part, size in zip(points, _SIZE, strict=True))
    parts = [_frame("map of profiles", axes)]
    for i, label in enumerate(labels):
        colour, shape = style.get(label or "", (shades[i] if shades else "#999", 0))
        parts.append(_point(x[i], _SIZE[1] - y[i], colour, shape, links[i], titles[i]))
    return Markup("").join([*parts, Markup("</svg>")]), [
        (name, colour, shape == 0) for name, (colour, shape) in style.items()
    ]


def _shades(values: pl.Series) -> list[str]:
    """Colours from the lowest to the highest value; grey without one."""
    low, high = _ends(values)
    shares = (values.cast(pl.Float64) - low) / max(high - low, 1e-12)
    return ["#999" if share is None else _rgb(share) for share in shares]


def value_legend(values: pl.Series, name: str) -> Markup:
    """The colour scale of `scatter_svg` with values."""
    return legend_bar(*_ends(values), name)


def _ends(values: pl.Series) -> tuple[float, float]:
    known = values.cast(pl.Float64).fill_nan(None).drop_nulls()
    return (float(known.min()), float(known.max())) if known.len() else (0.0, 1.0)  # type: ignore[arg-type]


def curve_svg(curve: Mapping[str, Any], wells: pl.DataFrame) -> Markup:
    """A dose-response curve; every treated well is a link, controls are grey at the left."""
    ordinal = curve["Metadata_ConcentrationUnit"] == "ordinal"
    low, high = float(curve["lowest_dose"]), float(curve["highest_dose"])

    def place(dose: Any) -> Any:
        return np.asarray(dose, float) if ordinal else np.log10(np.maximum(dose, 1e-300))

    first, last = float(place(low)), float(place(high))
    nothing = first - 0.12 * (last - first)
    values = wells[curve["response"]].cast(pl.Float64).to_numpy()
    is_control = (wells["Metadata_ControlType"] == "negcon").fill_null(False).to_numpy()
    doses = wells["Metadata_Concentration"].fill_null(0).to_numpy()
    at = np.where(is_control | (doses <= 0), nothing, place(np.maximum(doses, 1e-300)))
    kept = np.isfinite(values) & (is_control | ((doses >= low) & (doses <= high)))
    bottom, top = values[kept].min(), values[kept].max()

    def xy(where: Any, value: Any) -> tuple[np.ndarray, np.ndarray]:
        across = 76 + (np.asarray(where) - nothing) / (last - nothing) * (_SIZE[0] - 106)
        up = (np.asarray(value) - bottom) / max(top - bottom, 1e-12) * (_SIZE[1] - 80)
        return across, _SIZE[1] - 40 - up

    unit = curve["Metadata_ConcentrationUnit"] or "no unit"
    parts = [_frame("dose response curve", (f"dose ({unit})", str(curve["response"])))]
    parts += [
        _tick(float(xy(place(d), bottom)[0]), f"{d:.3g}")
        for d in sorted({*doses[kept & ~is_control]})
    ]
    parts += [_side(float(xy(first, v)[1]), f"{v:.3g}") for v in (bottom, (bottom + top) / 2, top)]
    if not curve["no_activity"]:
        line = np.linspace(first, last, 120)
        fitted = fitted_values(curve, line if ordinal else 10**line)
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(*xy(line, fitted), strict=True))
        parts.append(_band(curve, first, last, place, xy))
        parts.append(Markup('<polyline points="{}" class="fit"/>').format(path))
    for i in np.flatnonzero(kept):
        row = wells.row(int(i), named=True)
        a, b = xy(at[i], values[i])
        words = "control" if is_control[i] else f"{row['Metadata_Concentration']:g} {unit}"
        title = f"{row['Metadata_Plate']} {row['Metadata_Well']}, {words}: {values[i]:.4g}"
        link = well_link(row["Metadata_Screen"], row["Metadata_Plate"], row["Metadata_Well"])
        parts.append(
            _point(float(a), float(b), "#777" if is_control[i] else "#0072B2", 0, link, title)
        )
    return Markup("").join([*parts, Markup("</svg>")])


def _band(curve: Mapping[str, Any], first: float, last: float, place: Any, xy: Any) -> Markup:
    """The EC50's interval, as far as doses were tested."""
    ends = [
        first if curve["ec50_low"] is None else max(first, float(place(curve["ec50_low"]))),
        last if curve["ec50_high"] is None else min(last, float(place(curve["ec50_high"]))),
    ]
    if ends[0] >= ends[1]:
        return Markup("")
    left, right = (float(xy(end, 0)[0]) for end in ends)
    return Markup('<rect x="{}" y="20" width="{}" height="{}" class="band"/>').format(
        f"{left:.1f}", f"{right - left:.1f}", _SIZE[1] - 60
    )


def _frame(label: str, axes: tuple[str, str]) -> Markup:
    width, height = _SIZE
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<text x="{}" y="{}" text-anchor="middle">{}</text>'
        '<text x="{}" y="{}" transform="rotate(-90 12 {})" text-anchor="middle">{}</text>'
    ).format(
        width, height, label, width / 2, height - 4, axes[0], 12, height / 2, height / 2, axes[1]
    )


def _point(x: float, y: float, colour: str, shape: int, link: str, title: str) -> Markup:
    mark = (
        Markup('<circle cx="{0}" cy="{1}" r="5" fill="{2}">')
        if shape == 0
        else Markup('<rect x="{0}" y="{1}" width="9" height="9" fill="{2}">')
    ).format(f"{x:.1f}", f"{y:.1f}", colour)
    end = Markup("</circle>") if shape == 0 else Markup("</rect>")
    return Markup('<a href="{}">{}<title>{}</title>{}</a>').format(link, mark, title, end)


def _label(x: float, y: float, words: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(x, y, words)


def _tick(x: float, words: str) -> Markup:
    return _label(round(x, 1), _SIZE[1] - 22, words)


def _side(y: float, words: str) -> Markup:
    return Markup('<text x="64" y="{}" text-anchor="end">{}</text>').format(round(y + 4, 1), words)


def _along(values: np.ndarray, size: int) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    return np.asarray(40 + (values - low) / max(high - low, 1e-12) * (size - 80))


def _rgb(share: float) -> str:
    return "rgb({},{},{})".format(*scale_colour(share))


def names_of(values: Iterable[object]) -> list[str | None]:
    """Values as words; null stays null."""
    return [None if value is None else str(escape(str(value))) for value in values]
