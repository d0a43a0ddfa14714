"""Curves of a segmentation training: its losses, and the score on the validation images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from phenolake.pictures.png import new_figure, to_png


def loss_curves(history: Sequence[Mapping[str, float]]) -> bytes:
    """Return a PNG with the losses over steps, and the validation score where there is one.

    Parameters
    ----------
    history
        One row per round: `step`, columns that end in `_loss`, perhaps `validation_score`.
    """
    judged = bool(history) and "validation_score" in history[0]
    figure = new_figure(8 if judged else 4.5, 3.2)
    panels = figure.subplots(1, 2 if judged else 1, squeeze=False)[0]
    steps = [row["step"] for row in history]
    marker = "o" if len(history) == 1 else None
    for name in (key for key in (history[0] if history else {}) if key.endswith("_loss")):
        values = [row[name] for row in history]
        panels[0].plot(steps, values, marker=marker, label=name.removesuffix("_loss"))
    panels[0].set(title="training loss", xlabel="step", yscale="log")
    panels[0].legend(frameon=False)
    if judged:
        panels[1].plot(steps, [row["validation_score"] for row in history], "C3", marker=marker)
        panels[1].set(title="validation", xlabel="step", ylabel="mean AP", ylim=(0, 1))
    for axes in panels:
        axes.grid(alpha=0.3)
    return to_png(figure)
