"""Dose-response curves with their wells, as one small PNG of panels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from phenolake.dose_response.hill import fitted_values
from phenolake.pictures.png import new_figure, to_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WELL, _CURVE, _CONTROL = "#0072B2", "#D55E00", "0.6"
_MOST = 12


def dose_curves(curves: Sequence[Mapping[str, Any]], wells: pl.DataFrame, title: str = "") -> bytes:
    """PNG of up to twelve curves: wells as dots, controls in grey at the left, EC50 with interval.

    Parameters
    ----------
    curves
        Rows of `dose_responses`.
    wells
        A row per well: treatment columns and the responses.
    title
        Words above.
    """
    shown = list(curves)[:_MOST]
    columns = min(len(shown), 4)
    rows = -(-len(shown) // max(columns, 1))
    figure = new_figure(2.7 * max(columns, 1), 2.4 * max(rows, 1))
    panels = figure.subplots(max(rows, 1), max(columns, 1), squeeze=False).flat
    for axes, curve in zip(panels, shown, strict=False):
        _panel(axes, curve, wells)
    for axes in list(panels)[len(shown) :]:
        axes.set_axis_off()
    more = f" (first {_MOST} of {len(curves)})" if len(curves) > _MOST else ""
    if title or more:
        figure.suptitle(title + more, fontsize=9)
    return to_png(figure)


def _panel(axes: Axes, curve: Mapping[str, Any], wells: pl.DataFrame) -> None:
    ordinal = curve["Metadata_ConcentrationUnit"] == "ordinal"
    low, high = float(curve["lowest_dose"]), float(curve["highest_dose"])
    nothing = low - (high - low) / 10 if ordinal else low / (high / low) ** 0.15
    value = pl.col(curve["response"]).cast(pl.Float64)
    treated = wells.filter(
        pl.col("Metadata_Perturbation") == curve["Metadata_Perturbation"],
        pl.col("Metadata_Concentration").is_between(low, high),
    )
    controls = wells.filter(
        pl.col("Metadata_ControlType") == "negcon",
        pl.col("Metadata_Plate").is_in(treated["Metadata_Plate"].unique().implode()),
    )
    axes.plot(
        np.full(controls.height, nothing), controls.select(value).to_series(), ".", color=_CONTROL
    )
    axes.plot(
        treated["Metadata_Concentration"], treated.select(value).to_series(), "o", color=_WELL,
        markersize=3.5, alpha=0.7,
    )  # fmt: skip
    doses = np.linspace(low, high, 200) if ordinal else np.geomspace(low, high, 200)
    if not curve["no_activity"]:
        axes.plot(doses, fitted_values(curve, doses), color=_CURVE)
        if low <= curve["ec50"] <= high:
            axes.axvline(curve["ec50"], color=_CURVE, linestyle=":", linewidth=1)
            axes.axvspan(
                max(curve["ec50_low"] or low, low), min(curve["ec50_high"] or high, high),
                color=_CURVE, alpha=0.12, linewidth=0,
            )  # fmt: skip
    if not ordinal:
        axes.set_xscale("log")
    words = (
        curve["flag"].replace("_", " ") if curve["flag"] != "ok" else f"EC50 {curve['ec50']:.3g}"
    )
    axes.set_title(f"{curve['Metadata_Perturbation']}: {words}", fontsize=8)
    axes.set_ylabel(str(curve["response"])[:44], fontsize=6)
    axes.set_xlabel(f"dose ({curve['Metadata_ConcentrationUnit'] or 'no unit'})", fontsize=7)
    axes.tick_params(labelsize=6)
