"""From a matplotlib figure to a small PNG, and from a PNG to a line of markdown."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

DPI = 100
_LARGE = 50_000  # bytes; pictures live inside the metadata of a run


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of so many inches that needs neither a display nor pyplot's state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Figure) -> bytes:
    """Draw the figure as a PNG; one of more than 50 kB is reduced to 256 colours."""
    from PIL import Image as Pillow

    figure.canvas.draw()
    drawn = Pillow.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")  # type: ignore[attr-defined]
    exact = _compressed(drawn)
    if len(exact) <= _LARGE:
        return exact
    return _compressed(drawn.quantize(256, dither=Pillow.Dither.NONE))


def _compressed(image: Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def as_markdown(png: bytes, alt: str) -> str:
    """Write a PNG as a markdown image that carries its own data."""
    text = alt.replace("[", "(").replace("]", ")").replace("\n", " ")
    return f"![{text}](data:image/png;base64,{base64.b64encode(png).decode()})"
