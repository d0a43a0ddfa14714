"""Profiles as points: the first two principal components, coloured by what is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from phenolake.errors import ConfigurationError
from phenolake.pictures.png import new_figure, to_png
from phenolake.profiling.feature_matrix import feature_columns, key_columns, matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Okabe and Ito's colours, told apart by all kinds of colour vision; markers tell more classes.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
_MARKERS = ("o", "^", "s")
_NONE = "0.75"


def profile_map(
    profiles: pl.DataFrame | pl.LazyFrame | Mapping[str, pl.DataFrame],
    colour_by: str | Sequence[str],
    title: str = "",
) -> bytes:
    """PNG of PCA scatters of profiles: a column of panels per colouring, a row per table.

    Parameters
    ----------
    profiles
        A row per well or perturbation, normalized; or several such tables by name, such as before
        and after a correction, each with principal components of its own. Features with a missing
        value are left out of the PCA (rows without any value are left out first).
    colour_by
        Columns such as `Metadata_MOA` and `Metadata_Batch`. Text: the 23 most common values have
        a colour and a marker of their own; null and the rest are grey. Numbers: a colour scale.
    title
        Words above the panels.

    Raises
    ------
    ConfigurationError
        If fewer than two rows have values, or no feature is complete.
    """
    tables = profiles if isinstance(profiles, Mapping) else {"": profiles.lazy().collect()}
    names = key_columns(next(iter(tables.values())), colour_by)
    figure = new_figure(4.6 * len(names), 3.6 * len(tables))
    panels = figure.subplots(len(tables), len(names), squeeze=False)
    for (table, frame), row in zip(tables.items(), panels, strict=True):
        shown, points, share = principal_components(frame)
        for name, axes in zip(names, row, strict=True):
            if shown.schema[name].is_numeric():
                _numbers(axes, points, shown[name], figure)
            else:
                _classes(axes, points, shown[name].cast(pl.String))
            words = name.removeprefix("Metadata_")
            axes.set_title(f"{table}, by {words}" if table else words, fontsize=9)
            axes.set_xlabel(f"PC1 ({share[0]:.0%} of variance)", fontsize=7)
            axes.set_ylabel(f"PC2 ({share[1]:.0%})", fontsize=7)
            axes.tick_params(labelsize=6)
    if title:
        figure.suptitle(title, fontsize=10)
    return to_png(figure)


def principal_components(frame: pl.DataFrame) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """Rows with values, their first two components (2, row), and the shares of variance."""
    values = matrix(frame, feature_columns(frame))
    finite = np.isfinite(values)
    rows = finite.any(axis=0)
    kept = values[:, rows][finite[:, rows].all(axis=1)]
    if kept.shape[0] < 1 or kept.shape[1] < 2:
        raise ConfigurationError(
            f"profile_map: {rows.sum()} rows with values and {kept.shape[0]} complete features "
            "are too few for a map"
        )
    centred = kept - kept.mean(axis=1, keepdims=True)
    directions, singular, _ = np.linalg.svd(centred, full_matrices=False)
    # The sign of a component is arbitrary; the largest loading is made positive.
    directions *= np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(singular.size)])
    points = np.zeros((2, centred.shape[1]))
    share = np.zeros(2)
    count = min(2, singular.size)
    points[:count] = directions[:, :count].T @ centred
    share[:count] = singular[:count] ** 2 / max(float((singular**2).sum()), 1e-300)
    return frame.filter(pl.Series(rows)), points, share


def _classes(axes: Axes, points: np.ndarray, labels: pl.Series) -> None:
    size = 14 if labels.len() <= 1000 else 4
    counts = labels.drop_nulls().value_counts(sort=True, name="count")
    most = len(_COLOURS) * len(_MARKERS) - 1
    known = sorted(counts.head(most)[labels.name].to_list())
    rest = (~labels.is_in(known)).fill_null(True).to_numpy()
    if rest.any():
        words = "others" if counts.height > most else "none"
        axes.scatter(points[0, rest], points[1, rest], s=size / 2, c=_NONE, marker=".", label=words)
    for index, label in enumerate(known):
        chosen = (labels == label).fill_null(False).to_numpy()
        axes.scatter(
            points[0, chosen],
            points[1, chosen],
            s=size,
            c=_COLOURS[index % len(_COLOURS)],
            marker=_MARKERS[index // len(_COLOURS)],
            linewidths=0,
            alpha=0.8,
            label=label if len(label) <= 28 else f"{label[:27]}…",
        )
    axes.legend(
        loc="center left", bbox_to_anchor=(1, 0.5), fontsize=6, frameon=False, handletextpad=0.2
    )


def _numbers(axes: Axes, points: np.ndarray, values: pl.Series, figure: object) -> None:
    numbers = values.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    missing = np.isnan(numbers)
    axes.scatter(points[0, missing], points[1, missing], s=8, c=_NONE, marker=".")
    x, y = points[:, ~missing]
    drawn = axes.scatter(x, y, s=12, c=numbers[~missing], cmap="viridis", linewidths=0)
    figure.colorbar(drawn, ax=axes).ax.tick_params(labelsize=6)  # type: ignore[attr-defined]
