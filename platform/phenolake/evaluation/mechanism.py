"""Mechanism-of-action accuracy: how often a profile's nearest neighbour shares its mechanism."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from phenolake.errors import UnknownNameError
from phenolake.evaluation.confidence import UNKNOWN, Interval, bootstrap_interval
from phenolake.evaluation.similarity import Cosine, codes
from phenolake.profiling.feature_matrix import feature_columns, key_columns

Scheme = Literal["NSC", "NSCB"]
SCHEMES: tuple[Scheme, ...] = ("NSC", "NSCB")


@dataclass(frozen=True)
class MoaAccuracy:
    """Result of `moa_accuracy`.

    Attributes
    ----------
    accuracy
        Share of correct profiles among those scored; NaN if none could be.
    n
        Profiles scored.
    table
        A row per profile with a mechanism: its keys, `predicted`, `neighbour` (perturbation),
        `similarity` (cosine), `correct`, and `scored`: false where no allowed neighbour has the
        mechanism, so that no method could be right.
    interval
        95 % confidence of `accuracy` by bootstrap over perturbations.
    """

    accuracy: float
    n: int
    table: pl.DataFrame
    interval: Interval = UNKNOWN


def moa_accuracy(
    profiles: pl.DataFrame | pl.LazyFrame,
    scheme: Scheme = "NSC",
    perturbation: str = "Metadata_Perturbation",
    moa: str = "Metadata_MOA",
    batch: str = "Metadata_Batch",
) -> MoaAccuracy:
    """Share of profiles whose nearest allowed neighbour (cosine) has the same mechanism.

    Parameters
    ----------
    profiles
        A row per treatment (compound and concentration), usually from `profiling.consensus`.
        Rows without a mechanism or with missing perturbation are left out.
    scheme
        `NSC` (not same compound): neighbours of other perturbations. `NSCB` (nor same batch): also
        of other batches.
    perturbation, moa, batch
        Columns that hold them; `batch` is needed for NSCB only.

    Returns
    -------
    MoaAccuracy
        `accuracy`, its interval, `n`, and a table of each profile's nearest neighbour.

    Raises
    ------
    UnknownNameError
        If the scheme or a column does not exist.

    Notes
    -----
    Two profiles are compared on the features that both have. Of equally similar neighbours the
    first row counts.

    References
    ----------
    Ljosa et al., J. Biomol. Screen. 18:1321 (2013); Ando et al., bioRxiv 161422 (2017).
    """
    if scheme not in SCHEMES:
        raise UnknownNameError("scheme", scheme, SCHEMES)
    needed = [perturbation, moa] + ([batch] if scheme == "NSCB" else [])
    frame = profiles.lazy().collect()
    frame = frame.drop_nulls(key_columns(frame, needed))
    keys = [name for name in frame.columns if name.startswith("Metadata_")]
    compounds, mechanisms = codes(frame, [perturbation]), codes(frame, [moa])
    allowed = compounds[:, None] != compounds[None, :]
    if scheme == "NSCB":
        batches = codes(frame, [batch])
        allowed &= batches[:, None] != batches[None, :]
    rows = np.arange(frame.height)
    cosine = Cosine(frame, feature_columns(frame)).between(rows, rows)
    similarity = np.where(allowed, cosine, -np.inf)
    same = mechanisms[:, None] == mechanisms[None, :]
    scored = (allowed & same).any(axis=1)
    nearest = similarity.argmax(axis=1) if frame.height else np.empty(0, np.int64)
    correct = scored & (mechanisms[nearest] == mechanisms)
    # Rows without any allowed neighbour have nothing to show.
    neighbour = pl.Series(np.where(allowed.any(axis=1), nearest, -1)).replace(-1, None)
    table = frame.select(keys).with_columns(
        frame[moa].gather(neighbour).alias("predicted"),
        frame[perturbation].gather(neighbour).alias("neighbour"),
        pl.Series("similarity", cosine[rows, nearest]),
        pl.Series("correct", correct),
        pl.Series("scored", scored),
    )
    n = int(scored.sum())
    interval = bootstrap_interval(np.where(scored, correct, np.nan), frame[perturbation])
    return MoaAccuracy(float(correct.sum() / n) if n else float("nan"), n, table, interval)
