"""How well predicted label images agree with the truth: F1, AP, panoptic quality, splits, merges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from phenolake.errors import ConfigurationError
from phenolake.evaluation.matching import Overlaps, find_overlaps

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))


def segmentation_scores(
    truth: ArrayLike | Sequence[ArrayLike],
    predicted: ArrayLike | Sequence[ArrayLike],
    thresholds: Iterable[float] = THRESHOLDS,
) -> pl.DataFrame:
    """Detection scores at each threshold of intersection over union (IoU), counts pooled.

    A true and a predicted object match where their IoU reaches the threshold; each object matches
    at most once. From IoU 0.5 on, at most one partner is possible (but for exact halves); below
    that, the matching with most pairs is taken, and of these the one with the largest sum of IoU.

    Parameters
    ----------
    truth, predicted
        Label images, any integer dtype, shape (y, x), 0 = background; or lists of them, whose
        counts are added up before the ratios are taken.
    thresholds
        IoU values above 0 and up to 1.

    Returns
    -------
    polars.DataFrame
        A row per threshold: `threshold`, `tp`, `fp`, `fn`, `precision` = tp / (tp + fp), `recall`
        = tp / (tp + fn), `f1` = 2 tp / (2 tp + fp + fn), `ap` = tp / (tp + fp + fn),
        `mean_matched_iou` over the matched pairs, `panoptic_quality` = `mean_matched_iou` x `f1`;
        and, the same in each row, `splits`, true objects cut into two or more, and `merges`,
        predicted objects that join two or more (see `Overlaps`). A ratio of nothing to nothing
        is NaN.

    Raises
    ------
    MaskShapeError
        If a pair of label images differs in shape.
    ConfigurationError
        If the lists differ in length, a label is negative or no integer, or a threshold is not in
        (0, 1].

    References
    ----------
    `ap` as in the 2018 Data Science Bowl: Caicedo et al., Nature Methods 16:1247 (2019).
    `panoptic_quality`: Kirillov et al., CVPR 2019, with one class. `matching` of stardist has the
    same values.
    """
    levels = [float(level) for level in thresholds]
    if not all(0 < level <= 1 for level in levels):
        raise ConfigurationError(f"IoU thresholds must be above 0 and at most 1, got {levels}")
    pairs = (
        find_overlaps(true, guess, f"image {number}")
        for number, (true, guess) in enumerate(_pairs(truth, predicted))
    )
    return pooled_scores(pairs, levels)


def pooled_scores(
    overlaps: Iterable[Overlaps], thresholds: Sequence[float] = THRESHOLDS
) -> pl.DataFrame:
    """Scores of `segmentation_scores` from the overlaps of each image."""
    counts = np.zeros((len(thresholds), 3), np.int64)
    matched_iou = np.zeros(len(thresholds))
    splits = merges = 0
    for each in overlaps:
        iou = each.iou
        for number, level in enumerate(thresholds):
            matched = each.matched(level)
            hits = matched.size
            counts[number] += (
                hits,
                each.predicted_names.size - hits,
                each.true_names.size - hits,
            )
            matched_iou[number] += iou[matched].sum()
        splits += int(each.split().sum())
        merges += int(each.merged().sum())
    tp, fp, fn = counts.T
    with np.errstate(invalid="ignore", divide="ignore"):
        return pl.DataFrame(
            {
                "threshold": pl.Series(thresholds, dtype=pl.Float64),
                "tp": tp,
                "fp": fp,
                "fn": fn,
                "precision": tp / (tp + fp),
                "recall": tp / (tp + fn),
                "f1": 2 * tp / (2 * tp + fp + fn),
                "ap": tp / (tp + fp + fn),
                "mean_matched_iou": matched_iou / tp,
                "panoptic_quality": 2 * matched_iou / (2 * tp + fp + fn),
                "splits": np.full(tp.size, splits, np.int64),
                "merges": np.full(tp.size, merges, np.int64),
            }
        )


def _pairs(truth: object, predicted: object) -> Iterable[tuple[ArrayLike, ArrayLike]]:
    lists = [isinstance(side, (list, tuple)) for side in (truth, predicted)]
    if not any(lists):
        return [(truth, predicted)]  # type: ignore[list-item]
    if not all(lists) or len(truth) != len(predicted):  # type: ignore[arg-type]
        raise ConfigurationError("give as many predicted label images as true ones")
    return zip(truth, predicted, strict=True)  # type: ignore[call-overload]
