"""How well predicted label images agree with the truth: precision, recall, F1 and AP by overlap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from phenolake.errors import ConfigurationError, MaskShapeError

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))


def segmentation_scores(
    truth: ArrayLike | Sequence[ArrayLike],
    predicted: ArrayLike | Sequence[ArrayLike],
    thresholds: Iterable[float] = THRESHOLDS,
) -> pl.DataFrame:
    """Detection scores at each threshold of intersection over union (IoU), counts pooled.

    A true and a predicted object match where their IoU reaches the threshold; each object matches
    at most once. From IoU 0.5 on, at most one partner is possible (but for exact halves); below
    that, the matching with most pairs is taken.

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
        = tp / (tp + fn), `f1` = 2 tp / (2 tp + fp + fn), `ap` = tp / (tp + fp + fn). A ratio of
        nothing to nothing is NaN.

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
    """
    levels = [float(level) for level in thresholds]
    if not all(0 < level <= 1 for level in levels):
        raise ConfigurationError(f"IoU thresholds must be above 0 and at most 1, got {levels}")
    counts = np.zeros((len(levels), 3), np.int64)
    for number, (true, guess) in enumerate(_pairs(truth, predicted)):
        first, second = _labels(true, "truth"), _labels(guess, "predicted")
        if first.shape != second.shape:
            raise MaskShapeError(f"image {number}", first.shape, second.shape)
        counts += _matches(first, second, levels)
    tp, fp, fn = counts.T
    with np.errstate(invalid="ignore", divide="ignore"):
        return pl.DataFrame(
            {
                "threshold": pl.Series(levels, dtype=pl.Float64),
                "tp": tp,
                "fp": fp,
                "fn": fn,
                "precision": tp / (tp + fp),
                "recall": tp / (tp + fn),
                "f1": 2 * tp / (2 * tp + fp + fn),
                "ap": tp / (tp + fp + fn),
            }
        )


def _pairs(truth: object, predicted: object) -> Iterable[tuple[object, object]]:
    lists = [isinstance(side, (list, tuple)) for side in (truth, predicted)]
    if not any(lists):
        return [(truth, predicted)]
    if not all(lists) or len(truth) != len(predicted):  # type: ignore[arg-type]
        raise ConfigurationError("give as many predicted label images as true ones")
    return zip(truth, predicted, strict=True)  # type: ignore[call-overload]


def _labels(image: object, side: str) -> NDArray[np.int64]:
    """Labels made 0..n, so that sparse label numbers cost nothing."""
    array = np.asarray(image)
    if array.dtype.kind not in "uib" or (array.size and array.min() < 0):
        raise ConfigurationError(f"{side}: labels must be integers from 0, got {array.dtype}")
    names, dense = np.unique(array, return_inverse=True)
    offset = 0 if names.size and names[0] == 0 else 1
    return dense.reshape(array.shape) + offset


def _matches(truth: NDArray[np.int64], guess: NDArray[np.int64], levels: list[float]) -> NDArray:
    """Return tp, fp, fn per threshold, int64, shape (threshold, 3)."""
    true_area, guess_area = np.bincount(truth.ravel()), np.bincount(guess.ravel())
    true_count, guess_count = max(true_area.size - 1, 0), max(guess_area.size - 1, 0)
    both = (truth > 0) & (guess > 0)
    width = guess_count + 1
    pairs, shared = np.unique(truth[both] * width + guess[both], return_counts=True)
    row, column = pairs // width, pairs % width
    iou = shared / (true_area[row] + guess_area[column] - shared)
    hits = np.array([_most_pairs(row, column, iou >= level) for level in levels], np.int64)
    hits = hits.reshape(len(levels))
    return np.stack((hits, guess_count - hits, true_count - hits), axis=1)


def _most_pairs(row: NDArray, column: NDArray, fits: NDArray[np.bool_]) -> int:
    """Size of the largest one-to-one matching among the pairs that fit."""
    rows, columns = row[fits], column[fits]
    simple = min(np.unique(rows).size, np.unique(columns).size)
    if simple == rows.size:
        return simple
    rows, columns = (np.unique(side, return_inverse=True)[1] for side in (rows, columns))
    table = np.zeros((rows.max() + 1, columns.max() + 1))
    table[rows, columns] = 1
    return int(table[linear_sum_assignment(table, maximize=True)].sum())
