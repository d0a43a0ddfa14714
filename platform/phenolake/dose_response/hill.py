"""The four-parameter logistic curve, and the grid of its two nonlinear parameters."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Slopes that are tried, per decade of dose or per step of an ordinal dose.
SLOPES = np.geomspace(0.1, 10, 40)
_BEYOND = 2.0  # decades (ordinal: steps) below and above the tested doses
_MIDPOINTS = 240

Floats = NDArray[np.float64]


def dose_axis(doses: ArrayLike, ordinal: bool) -> Floats:
    """Place of each dose on the curve's axis: log10; an ordinal dose itself; -inf for zero."""
    dose = np.asarray(doses, np.float64)
    with np.errstate(divide="ignore"):
        return np.where(dose > 0, dose if ordinal else np.log10(dose), -np.inf)


def saturation(axis: ArrayLike, midpoint: ArrayLike, slope: ArrayLike) -> Floats:
    """Share of the full effect, 1 / (1 + 10^(slope (midpoint - axis))); 0 at dose zero."""
    with np.errstate(over="ignore"):
        steps = np.asarray(slope, np.float64) * (np.asarray(midpoint) - np.asarray(axis))
        return np.asarray(1 / (1 + np.power(10.0, steps)))


def curve_values(
    doses: ArrayLike, zero: float, full: float, ec50: float, hill: float, ordinal: bool = False
) -> Floats:
    """Response at each dose: zero + (full - zero) / (1 + (ec50 / dose)^hill).

    Parameters
    ----------
    doses
        Doses in the unit of `ec50`; zero gives `zero`.
    zero, full
        Response without compound, and at an endless dose.
    ec50
        Dose of the half-maximal response.
    hill
        Slope, positive.
    ordinal
        Doses are steps of a series, which count as logarithms already.
    """
    midpoint = ec50 if ordinal else np.log10(ec50)
    return zero + (full - zero) * saturation(dose_axis(doses, ordinal), midpoint, hill)


def fitted_values(curve: Mapping[str, Any], doses: ArrayLike) -> Floats:
    """Response at each dose by a row of `dose_responses`."""
    return curve_values(
        doses,
        float(curve["zero"]),
        float(curve["full"]),
        float(curve["ec50"]),
        float(curve["hill"]),
        ordinal=curve["Metadata_ConcentrationUnit"] == "ordinal",
    )


@lru_cache(maxsize=8)
def grid(axis: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Midpoints tried for these places of doses, and the saturation at each.

    Shape of the second: (midpoint, slope, dose).
    """
    places = np.array(axis)
    tested = places[np.isfinite(places)]
    midpoints = np.linspace(tested.min() - _BEYOND, tested.max() + _BEYOND, _MIDPOINTS)
    return midpoints, saturation(places, midpoints[:, None, None], SLOPES[:, None])
