"""Figures of merit of an assay from the values of its control wells.

Conventions: sample SD (ddof 1); NaN is left out; fewer than two values give NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def z_prime(positive: ArrayLike, negative: ArrayLike) -> float:
    """`Z' = 1 - 3 (SD_pos + SD_neg) / |mean_pos - mean_neg|`; at most 1, -inf for equal means.

    Parameters
    ----------
    positive, negative
        A value per control well; NaN is left out, SDs have ddof 1.

    References
    ----------
    Zhang, Chung, Oldenburg, J. Biomol. Screen. 4:67 (1999).
    """
    (mean_p, sd_p), (mean_n, sd_n) = _mean_and_sd(positive), _mean_and_sd(negative)
    return _separation(3 * (sd_p + sd_n), mean_p - mean_n)


def ssmd(positive: ArrayLike, negative: ArrayLike) -> float:
    """Strictly standardized mean difference, `(mean_pos - mean_neg) / sqrt(SD_pos^2 + SD_neg^2)`.

    Parameters
    ----------
    positive, negative
        A value per well; NaN is left out, SDs have ddof 1.

    References
    ----------
    Zhang XD, Genomics 89:552 (2007); independent groups.
    """
    (mean_p, sd_p), (mean_n, sd_n) = _mean_and_sd(positive), _mean_and_sd(negative)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.divide(mean_p - mean_n, np.hypot(sd_p, sd_n)))


def v_factor(values: ArrayLike, doses: ArrayLike) -> float:
    """V = 1 - 6 mean(SD over doses) / (largest - smallest mean over doses), replicates per dose.

    Parameters
    ----------
    values
        One value per well.
    doses
        Dose of each well. Doses with fewer than two values are left out of the mean SD.

    References
    ----------
    Ravkin, Quality measures for imaging-based cellular assays, SBS Conference (2004).
    """
    flat, dose = np.asarray(values, np.float64).ravel(), np.asarray(doses).ravel()
    means, spreads = [], []
    for level in np.unique(dose):
        of_level = flat[dose == level]
        of_level = of_level[~np.isnan(of_level)]
        if of_level.size:
            means.append(of_level.mean())
        if of_level.size > 1:
            spreads.append(of_level.std(ddof=1))
    if len(means) < 2 or not spreads:
        return float("nan")
    return _separation(6 * float(np.mean(spreads)), max(means) - min(means))


def _mean_and_sd(values: ArrayLike) -> tuple[float, float]:
    present = np.asarray(values, np.float64).ravel()
    present = present[~np.isnan(present)]
    if present.size < 2:
        return float("nan"), float("nan")
    return float(present.mean()), float(present.std(ddof=1))


def _separation(noise: float, signal: float) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(1 - np.divide(noise, abs(signal)))
