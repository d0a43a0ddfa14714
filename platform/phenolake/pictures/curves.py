"""Pictures of a training: curves over epochs and the confusion matrix."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's blue and vermilion, told apart with any colour vision; the line style differs too.
_PARTS = {"train": ("#0072B2", "--"), "validation": ("#D55E00", "-")}
_NUMBERED_CLASSES = 16
_NAME_LENGTH = 24


def training_curves(history: Sequence[Mapping[str, float]]) -> bytes:
    """Return a PNG with loss and accuracy of both parts over epochs.

    Parameters
    ----------
    history
        One row per epoch: `epoch`, `train_loss`, `validation_loss`, `train_accuracy`,
        `validation_accuracy`.
    """
    figure = _figure(8, 3.2)
    epochs = [row["epoch"] for row in history]
    for axes, measure, unit in zip(
        figure.subplots(1, 2),
        ("loss", "accuracy"),
        ("cross entropy (nats)", "share of cells"),
        strict=True,
    ):
        for part, (colour, style) in _PARTS.items():
            values = [row[f"{part}_{measure}"] for row in history]
            marker = "o" if len(history) == 1 else None
            axes.plot(epochs, values, color=colour, linestyle=style, marker=marker, label=part)
        axes.set(title=measure, xlabel="epoch", ylabel=unit)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    figure.axes[1].set_ylim(0, 1)
    figure.axes[0].legend(frameon=False)
    return _png(figure)


def confusion_matrix(matrix: np.ndarray, classes: Sequence[str]) -> bytes:
    """Return a PNG of a confusion matrix, coloured by the share of each true class.

    Parameters
    ----------
    matrix
        Cells, shape (true class, predicted class).
    classes
        Names in the order of the matrix. Counts are written in for up to 16 classes.
    """
    size = len(classes)
    side = min(3.0 + 0.45 * size, 9.0)
    font_size = max(3.0, min(9.0, 45 * side / size))
    figure = _figure(side + 1, side)
    axes = figure.subplots()
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, out=np.zeros(matrix.shape), where=totals > 0)
    picture = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    names = [
        name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH - 1]}…" for name in classes
    ]
    axes.set_xticks(range(size), names, rotation=90 if size > 4 else 0, fontsize=font_size)
    axes.set_yticks(range(size), names, fontsize=font_size)
    axes.set(xlabel="predicted", ylabel="true")
    figure.colorbar(picture, ax=axes, label="share of true class", shrink=0.8)
    if size <= _NUMBERED_CLASSES:
        for (row, column), count in np.ndenumerate(matrix):
            colour = "black" if shares[row, column] > 0.5 else "white"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    return _png(figure)


def _figure(width: float, height: float) -> Figure:
    # A bare Figure draws with Agg and needs neither pyplot's state nor a display.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=90, layout="constrained")


def _png(figure: Figure) -> bytes:
    from PIL import Image

    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    # A palette makes these few-coloured pictures several times smaller.
    Image.open(drawn).convert("RGB").quantize(192).save(packed, format="png", optimize=True)
    return packed.getvalue()
