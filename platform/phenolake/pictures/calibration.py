"""Picture of how far a classifier's confidence can be believed."""

from __future__ import annotations

import polars as pl

from phenolake.pictures.png import new_figure, to_png

_LARGEST_DOT = 250


def calibration_curve(curve: pl.DataFrame) -> bytes:
    """Return a PNG of accuracy over confidence; a dot's area is its share of the cells.

    Parameters
    ----------
    curve
        Columns `confidence`, `accuracy`, `cells`, one row per bin.
    """
    figure = new_figure(4, 3.8)
    axes = figure.subplots()
    axes.plot(
        [0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1, label="as confident as right"
    )
    axes.plot(curve["confidence"], curve["accuracy"], color="#0072B2", linewidth=1)
    area = curve["cells"] / max(curve["cells"].max() or 1, 1) * _LARGEST_DOT
    axes.scatter(curve["confidence"], curve["accuracy"], s=area, color="#0072B2", alpha=0.6)
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1),
        xlabel="probability of the class named",
        ylabel="share of cells right",
    )
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper left")
    return to_png(figure)
