"""Maps over the field of view, such as illumination functions, side by side."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np


def field_maps(maps: Mapping[str, np.ndarray], title: str = "") -> bytes:
    """PNG of several 2D arrays (y, x), each with its colour bar; at most five in a row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(len(maps), 5)
    rows = -(-len(maps) // columns)
    figure = Figure(figsize=(2.4 * columns, 2.3 * rows), dpi=100, layout="constrained")
    for number, (name, values) in enumerate(maps.items(), start=1):
        axes = figure.add_subplot(rows, columns, number)
        step = max(1, max(values.shape) // 256)
        image = axes.imshow(
            values[::step, ::step], cmap="viridis", vmin=values.min(), vmax=values.max()
        )
        axes.set_title(name, fontsize=9)
        axes.set_axis_off()
        figure.colorbar(image, ax=axes, shrink=0.8).ax.tick_params(labelsize=7)
    if title:
        figure.suptitle(title, fontsize=10)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()
