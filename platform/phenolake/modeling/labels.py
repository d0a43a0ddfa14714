"""Class names as integers, and the rules a labelled set must keep to train a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from phenolake.errors import TrainingDataError

TRAIN = "train"
VALIDATION = "validation"
#: A part that is trained on and validated on: for the last training, after all scores are taken.
BOTH = "both"


@dataclass(frozen=True, eq=False)
class EncodedLabels:
    """`codes` (int64, shape (n,)) index into `classes`, which are sorted by name."""

    codes: np.ndarray
    classes: tuple[str, ...]


def encode_labels(labels: Iterable[object]) -> EncodedLabels:
    """Return labels as integer codes; classes are sorted by name.

    Raises
    ------
    TrainingDataError
        If there are no labels, or some are missing (null, empty or NaN).
    """
    names = label_names(labels)
    missing = names.null_count()
    if missing == len(names):
        raise TrainingDataError("no cell has a label")
    if missing:
        raise TrainingDataError(
            f"{missing} of {len(names)} cells have no label; leave them out first"
        )
    classes, codes = np.unique(names.to_numpy().astype(str), return_inverse=True)
    return EncodedLabels(codes.astype(np.int64), tuple(classes.tolist()))


def label_names(labels: Iterable[object]) -> pl.Series:
    """Return labels as text; empty text and NaN become null."""
    series = labels if isinstance(labels, pl.Series) else pl.Series(list(labels), strict=False)
    text = series.cast(pl.String).alias("label")
    return text.set(text.is_in(["", "NaN", "nan"]).fill_null(False), None)


def checked_parts(labels: EncodedLabels, split: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the row numbers of the training and of the validation part.

    Raises
    ------
    TrainingDataError
        If there are fewer than two classes, a class has one cell only or none to train on, or
        nothing is left to validate on.
    """
    split = np.asarray(split)
    if split.shape != labels.codes.shape:
        raise TrainingDataError(f"{len(labels.codes)} labels, but {len(split)} cells in the split")
    if len(labels.classes) < 2:
        raise TrainingDataError(
            f"only one class ({labels.classes[0]}); a classifier needs two or more"
        )
    counts = np.bincount(labels.codes, minlength=len(labels.classes))
    _refuse(labels.classes, counts < 2, "one cell only; add cells or leave the class out")
    train, validation = (
        np.flatnonzero(np.isin(split, (part, BOTH))) for part in (TRAIN, VALIDATION)
    )
    trained = np.bincount(labels.codes[train], minlength=len(labels.classes))
    _refuse(labels.classes, trained == 0, "no cell in the training part; split another way")
    if not len(validation):
        raise TrainingDataError("no cell in the validation part; hold out some groups")
    return train, validation


def _refuse(classes: tuple[str, ...], bad: np.ndarray, reason: str) -> None:
    named = ", ".join(name for name, is_bad in zip(classes, bad, strict=True) if is_bad)
    if named:
        raise TrainingDataError(f"class {named} has {reason}")
