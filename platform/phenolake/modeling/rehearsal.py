"""Each class left out in turn: how well a new kind of cell is found, and where to call it unknown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from phenolake.modeling.cross_validation import Train, judge_fold
from phenolake.modeling.labels import EncodedLabels
from phenolake.modeling.neighbour_novelty import mean_rank, quantiles


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """Held-out cells while one class was left out: `novelty`, float (n,), and who was new."""

    left_out: str
    novelty: np.ndarray
    is_new: np.ndarray


@dataclass(frozen=True, eq=False)
class FoundNew:
    """`unknown_above`: novelty above which to say unknown. `classes`: `label`, `cells` and `auc`."""

    unknown_above: float
    classes: pl.DataFrame


def rehearse(
    train: Train,
    data: Any,
    labels: EncodedLabels,
    folds: np.ndarray,
    report: Callable[[str], None] | None = None,
) -> list[Rehearsal]:
    """Return what held-out cells look like to models that never saw one of the classes.

    Classes whose absence leaves fewer than two others are no rehearsal, so two classes give none.
    `report` is told which class is left out.
    """
    if len(labels.classes) < 3:
        return []
    names = np.array(labels.classes)[labels.codes]
    done = []
    for number, left_out in enumerate(labels.classes, start=1):
        if report is not None:
            report(f"training without {left_out} ({number} of {len(labels.classes)})")
        parts, new = [], []
        for fold in np.unique(folds):
            rows, judged = judge_fold(train, data, names, folds == fold, names != left_out)
            is_new = names[rows] == left_out
            if is_new.all():
                continue
            parts.append(mean_rank(judged.signs, quantiles(judged.signs[~is_new])))
            new.append(is_new)
        if any(part.any() for part in new):
            done.append(Rehearsal(left_out, np.concatenate(parts), np.concatenate(new)))
    return done


def judge_rehearsals(rehearsals: Sequence[Rehearsal]) -> FoundNew:
    """Return how well each left-out class was found, and the threshold.

    The threshold is the share of known cells at which, on average over the left-out classes, the
    share of new cells above it exceeds that of known cells most.
    """
    from sklearn.metrics import roc_auc_score

    rows, shares = [], []
    for tested in rehearsals:
        known = np.sort(tested.novelty[~tested.is_new])
        shares.append(np.searchsorted(known, tested.novelty[tested.is_new]) / len(known))
        auc = roc_auc_score(tested.is_new, tested.novelty)
        rows.append((tested.left_out, int(tested.is_new.sum()), auc))
    levels = np.linspace(0.5, 0.99, 50)
    found = np.mean([[(share > level).mean() for level in levels] for share in shares], axis=0)
    return FoundNew(
        float(levels[np.argmax(found - (1 - levels))]),
        pl.DataFrame(rows, schema=["label", "cells", "auc"], orient="row"),
    )
