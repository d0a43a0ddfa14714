"""Picture of typical and of wrongly named cells, a row for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from phenolake.pictures.composite import colours_for, composite
from phenolake.pictures.png import new_figure, to_png

_TILE = 0.62  # inches
_MOST_ROWS = 24
_NAME_LENGTH = 14


def example_cells(
    crops: np.ndarray,
    called: Sequence[str],
    classes: Mapping[str, tuple[Sequence[int], Sequence[int]]],
    heat: np.ndarray | None = None,
) -> bytes:
    """Return a PNG with typical cells of each class at the left and mistakes at the right.

    Parameters
    ----------
    crops
        uint8, shape (n, channel, size, size); channels in pseudo-colours, one alone in grey.
    called
        The class that each was given; written into the mistakes.
    classes
        By true class: numbers of the right and of the wrong cells. The first 24 are drawn.
    heat
        Shape (n, size, size), 0 to 1; drawn over the cells in grey.
    """
    tiles = coloured_cells(crops) if heat is None else heated_cells(crops, heat)
    rows = list(classes.items())[:_MOST_ROWS]
    columns = [max(1, *(len(parts[side]) for _, parts in rows)) for side in (0, 1)]
    figure = new_figure(1.4 + _TILE * sum(columns), 0.5 + _TILE * len(rows))
    grid = figure.subplots(len(rows), 2, squeeze=False, width_ratios=columns)
    for axes_of_row, (name, parts) in zip(grid, rows, strict=True):
        for axes, numbers, width in zip(axes_of_row, parts, columns, strict=True):
            axes.imshow(_strip(tiles, numbers, width))
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        axes_of_row[0].set_ylabel(
            _short(name), rotation=0, ha="right", va="center", fontsize=8, labelpad=4
        )
        for position, number in enumerate(parts[1]):
            axes_of_row[1].text(
                position * tiles.shape[2] + 1, 1, _short(called[number]),
                color="white", fontsize=5, va="top", bbox={"color": "black", "pad": 0.5},
            )  # fmt: skip
    grid[0, 0].set_title("named right, the surest first", fontsize=8)
    grid[0, 1].set_title("named wrong, and as what", fontsize=8)
    return to_png(figure)


def coloured_cells(crops: np.ndarray) -> np.ndarray:
    """Crops (n, channel, size, size) in pseudo-colours on one scale, uint8 (n, size, size, 3)."""
    limits = [tuple(np.percentile(crops[:, c], (1, 99.8))) for c in range(crops.shape[1])]
    colours = colours_for(crops.shape[1])
    return np.stack([composite(crop, limits, colours) for crop in crops])


def heated_cells(crops: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Mean over channels in grey under the heat in the colours of `inferno`, uint8."""
    from matplotlib import colormaps

    channels = crops.mean(axis=1)
    low, high = np.percentile(channels, (1, 99.8))
    grey = np.clip((channels - low) / max(high - low, 1e-9), 0, 1)[..., np.newaxis]
    colour = colormaps["inferno"](heat)[..., :3]
    mixed = grey * (1 - 0.6 * heat[..., np.newaxis]) + 0.6 * heat[..., np.newaxis] * colour
    return (255 * mixed.clip(0, 1)).astype(np.uint8)


def _strip(tiles: np.ndarray, numbers: Sequence[int], width: int) -> np.ndarray:
    """Tiles side by side, with white where there are fewer than `width`."""
    size = tiles.shape[1]
    strip = np.full((size, width * size, 3), 255, dtype=np.uint8)
    for position, number in enumerate(numbers):
        strip[:, position * size : (position + 1) * size] = tiles[number]
        strip[:, position * size] = 255
    return strip


def _short(name: str) -> str:
    return name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH - 1]}…"
