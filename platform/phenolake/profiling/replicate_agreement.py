"""How much of each feature's variance lies between treatments rather than between replicates."""

from __future__ import annotations

import numpy as np
import polars as pl

from phenolake.errors import ConfigurationError


def replicate_share(frame: pl.DataFrame, values: np.ndarray, replicates: str) -> np.ndarray:
    """Share of each feature's variance that lies between groups of replicates, 0 to 1.

    It is corrected for chance: (F - 1) / (F - 1 + n) with n wells per group, at least 0 (the
    intraclass correlation of one-way analysis of variance). Groups of one well are left out.
    """
    labels = frame[replicates].rank("dense").fill_null(0).to_numpy().astype(np.int64)
    sizes = np.bincount(labels)
    sizes[0] = 0
    used = sizes[labels] > 1
    kept, of = values[:, used], np.unique(labels[used], return_inverse=True)[1]
    groups_, wells = int(of.max(initial=-1)) + 1, kept.shape[1]
    if groups_ < 2 or wells <= groups_:
        raise ConfigurationError(
            f"replicate agreement needs two values of {replicates} with two wells each"
        )
    present = np.isfinite(kept)
    filled = np.where(present, kept, 0)
    membership = np.zeros((wells, groups_))
    membership[np.arange(wells), of] = 1
    n = present @ membership
    sums = filled @ membership
    total = n.sum(axis=1)
    grand = sums.sum(axis=1) / np.maximum(total, 1)
    means = sums / np.maximum(n, 1)
    between = (n * (means - grand[:, None]) ** 2).sum(axis=1) / (groups_ - 1)
    within = np.where(present, (filled - means[:, of]) ** 2, 0).sum(axis=1) / np.maximum(
        total - groups_, 1
    )
    per_group = (total - (n**2).sum(axis=1) / np.maximum(total, 1)) / (groups_ - 1)
    scale = between + (per_group - 1) * within
    share = np.divide(between - within, scale, out=np.zeros(len(values)), where=scale > 0)
    return np.clip(share, 0, 1)
