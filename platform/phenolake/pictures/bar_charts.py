"""Bars and histograms of a few numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from phenolake.pictures.png import new_figure, to_png

_COLOUR = "#0072B2"
_LIMIT = "#D55E00"


def bars(values: Mapping[str, float], title: str = "", unit: str = "") -> bytes:
    """PNG of horizontal bars in the order given, each with its value written beside it."""
    figure = new_figure(5.2, 0.9 + 0.26 * max(1, len(values)))
    axes = figure.subplots()
    drawn = axes.barh(list(values), np.asarray(list(values.values()), float), color=_COLOUR)
    axes.bar_label(drawn, fmt="{:.4g}", fontsize=7, padding=2)
    axes.margins(x=0.12)
    axes.invert_yaxis()
    return _finish(figure, axes, title, unit)


def histogram(
    values: ArrayLike, title: str = "", unit: str = "", limit: float | None = None
) -> bytes:
    """PNG of a histogram; NaN is left out and counted below, `limit` is a dashed line."""
    numbers = np.asarray(values, float).ravel()
    finite = numbers[np.isfinite(numbers)]
    figure = new_figure(4.6, 2.8)
    axes = figure.subplots()
    axes.hist(finite, bins=min(60, max(5, int(np.sqrt(finite.size)))), color=_COLOUR)
    axes.set_ylabel("count", fontsize=8)
    if limit is not None:
        axes.axvline(limit, color=_LIMIT, linestyle="--", linewidth=1.2)
    missing = numbers.size - finite.size
    note = f"{missing} of {numbers.size} without a value" if missing else ""
    return _finish(figure, axes, title, ", ".join(word for word in (unit, note) if word))


def _finish(figure, axes, title: str, label: str) -> bytes:  # type: ignore[no-untyped-def]  # noqa: ANN001
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(label, fontsize=8)
    axes.tick_params(labelsize=7)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return to_png(figure)
