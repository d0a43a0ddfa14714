"""Each class left out in turn, to learn what gives a new kind of cell away, and where to say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from phenolake.modeling.cross_validation import OutOfFold, Train, judge_fold
from phenolake.modeling.labels import EncodedLabels
from phenolake.modeling.learned_novelty import (
    LearnedNovelty,
    overall_spread,
    quantiles,
    ranks,
    terms,
)
from phenolake.modeling.novelty import NoveltyReference

# So many known cells of a rehearsal are enough to compare with.
_KNOWN = 800
_STRENGTH = 3.0


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """Cells met while one class was left out: `terms` (n, 35) of their signs, and who was new."""

    left_out: str
    terms: np.ndarray
    is_new: np.ndarray


@dataclass(frozen=True, eq=False)
class LearnedSigns:
    """`slopes` of the terms, `unknown_above` (novelty), and `found`: one row per left-out class.

    `found` holds `label`, `cells` and `auc`, each with slopes learned from the other classes only.
    """

    slopes: np.ndarray
    unknown_above: float
    found: pl.DataFrame


def rehearse(
    train: Train, data: Any, labels: EncodedLabels, folds: np.ndarray, seed: int = 0
) -> list[Rehearsal]:
    """Return what held-out cells look like to models that never saw one of the classes.

    Classes whose absence leaves fewer than two others are no rehearsal, so two classes give none.
    """
    if len(labels.classes) < 3:
        return []
    rng = np.random.default_rng(seed)
    names = np.array(labels.classes)[labels.codes]
    done = []
    for left_out in labels.classes:
        parts, new = [], []
        for fold in np.unique(folds):
            rows, judged = judge_fold(train, data, names, folds == fold, names != left_out)
            is_new = names[rows] == left_out
            if is_new.all():
                continue
            parts.append(terms(ranks(judged.signs, quantiles(judged.signs[~is_new]))))
            new.append(is_new)
        if not any(part.any() for part in new):
            continue
        everything, is_new = np.concatenate(parts), np.concatenate(new)
        known = rng.permutation(np.flatnonzero(~is_new))[:_KNOWN]
        kept = np.concatenate([np.flatnonzero(is_new), known])
        done.append(Rehearsal(left_out, everything[kept], is_new[kept]))
    return done


def learn_signs(rehearsals: Sequence[Rehearsal]) -> LearnedSigns:
    """Return slopes learned from all rehearsals, and how well those of the others found each class.

    The threshold is the share of known cells at which, on average over the left-out classes, the
    share of new cells above it exceeds that of known cells most.
    """
    from sklearn.metrics import roc_auc_score

    rows, shares = [], []
    for tested in rehearsals:
        others = [other for other in rehearsals if other is not tested]
        total = tested.terms @ _slopes(others)
        known = np.sort(total[~tested.is_new])
        shares.append(np.searchsorted(known, total[tested.is_new]) / len(known))
        rows.append(
            (tested.left_out, int(tested.is_new.sum()), roc_auc_score(tested.is_new, total))
        )
    levels = np.linspace(0.5, 0.99, 50)
    found = np.mean([[(share > level).mean() for level in levels] for share in shares], axis=0)
    return LearnedSigns(
        _slopes(rehearsals),
        float(levels[np.argmax(found - (1 - levels))]),
        pl.DataFrame(rows, schema=["label", "cells", "auc"], orient="row"),
    )


def learned_novelty(
    reference: NoveltyReference, embedding: np.ndarray, judged: OutOfFold, slopes: np.ndarray
) -> LearnedNovelty:
    """Return the novelty of a model with this embedding of its training cells.

    `judged` are held-out cells of the known classes, which set the scale.
    """
    middle, root = overall_spread(reference, embedding)
    signs = quantiles(judged.signs)
    known = quantiles(terms(ranks(judged.signs, signs)) @ slopes)
    return LearnedNovelty(
        reference.centres, reference.whitening, middle, root, signs, slopes, known
    )


def _slopes(rehearsals: Sequence[Rehearsal]) -> np.ndarray:
    """Logistic regression of new against known, each class and side counted the same."""
    from sklearn.linear_model import LogisticRegression

    new = np.concatenate([rehearsal.is_new for rehearsal in rehearsals])
    weights = np.concatenate(
        [np.where(r.is_new, 1 / max(r.is_new.sum(), 1), 1 / (~r.is_new).sum()) for r in rehearsals]
    )
    model = LogisticRegression(C=_STRENGTH, max_iter=500).fit(
        np.concatenate([rehearsal.terms for rehearsal in rehearsals]),
        new,
        sample_weight=weights * 1000,
    )
    return model.coef_[0].astype(np.float32)
