"""Similarities between profiles as a heatmap, in the order of their hierarchical clusters."""

from __future__ import annotations

import numpy as np
import polars as pl

from phenolake.pictures.png import new_figure, to_png
from phenolake.profiling.feature_matrix import feature_columns, key_columns

_MOST_LABELS = 80
_MOST_ROWS = 600


def similarity_heatmap(profiles: pl.DataFrame | pl.LazyFrame, label: str, title: str = "") -> bytes:
    """PNG of cosine similarities between profiles, at most 600 (the first of the table).

    Parameters
    ----------
    profiles
        Two or more rows, usually consensus profiles.
    label
        Column that names a row; names are written for up to 80 rows.
    title
        Words above.
    """
    from phenolake.evaluation.clusters import cluster_profiles
    from phenolake.evaluation.similarity import Cosine

    table = profiles.lazy().collect()
    names = table[key_columns(table, label)[0]].cast(pl.String).fill_null("")
    more = f" (first {_MOST_ROWS} of {table.height})" if table.height > _MOST_ROWS else ""
    table, names = table[:_MOST_ROWS], names[:_MOST_ROWS]
    order = cluster_profiles(table).order
    rows = np.asarray(order)
    similarity = Cosine(table, feature_columns(table)).between(rows, rows)
    written = table.height <= _MOST_LABELS
    size = 3.2 + (0.1 * table.height if written else 3)
    figure = new_figure(size + 1.2, size)
    axes = figure.subplots()
    image = axes.imshow(similarity, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    if written:
        words = [names[int(row)][:24] for row in rows]
        axes.set_xticks(range(len(words)), words, rotation=90, fontsize=5)
        axes.set_yticks(range(len(words)), words, fontsize=5)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02).set_label("cosine", fontsize=7)
    if title or more:
        axes.set_title(title + more, fontsize=9)
    return to_png(figure)
