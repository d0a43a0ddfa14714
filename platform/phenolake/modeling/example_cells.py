"""Which cells show what a classifier of crops does: typical ones and mistakes of each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phenolake.modeling.grad_cam import grad_cam
from phenolake.modeling.model_parts import Model
from phenolake.modeling.trained_network import TrainedNetwork, as_crops


@dataclass(frozen=True)
class Examples:
    """Row numbers of cells of one class: the surest right ones and the surest mistakes."""

    typical: list[int]
    wrong: list[int]


def choose_examples(
    truth: np.ndarray, probabilities: np.ndarray, count: int = 6
) -> dict[int, Examples]:
    """Return up to `count` right and `count` wrong cells of each class, the surest first.

    Parameters
    ----------
    truth
        int, shape (n,), index of the true class.
    probabilities
        float, shape (n, class).
    """
    said, sureness = probabilities.argmax(axis=1), probabilities.max(axis=1)
    order = np.argsort(-sureness, kind="stable")
    own, right = truth[order], said[order] == truth[order]
    return {
        code: Examples(
            order[(own == code) & right][:count].tolist(),
            order[(own == code) & ~right][:count].tolist(),
        )
        for code in range(probabilities.shape[1])
    }


def example_pictures(
    model: Model, crops: np.ndarray, truth: np.ndarray, probabilities: np.ndarray
) -> dict[str, bytes]:
    """Return PNGs of held-out cells: `examples`, and for a network `grad_cam`.

    Parameters
    ----------
    model
        Names the classes; a network is asked where it found the class that it says.
    crops
        Shape (n, channel, size, size), as the model takes them; only the chosen ones are read.
    """
    from phenolake.pictures.example_cells import example_cells

    chosen = choose_examples(truth, probabilities)
    rows = np.array(sorted(row for part in chosen.values() for row in part.typical + part.wrong))
    place = {row: number for number, row in enumerate(rows)}
    shown = as_crops(np.asarray(crops[rows]))
    said = probabilities[rows].argmax(axis=1)
    parts = {
        model.classes[code]: (
            [place[row] for row in part.typical],
            [place[row] for row in part.wrong],
        )
        for code, part in chosen.items()
        if part.typical or part.wrong
    }
    called = [model.classes[code] for code in said]
    pictures = {"examples": example_cells(shown, called, parts)}
    if isinstance(model, TrainedNetwork):
        heat = grad_cam(model, shown, said)
        pictures["grad_cam"] = example_cells(shown, called, parts, heat)
    return pictures
