"""Fit of one compound's curve to one or many responses of the same wells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from phenolake.dose_response.activity import trend_p_values, within_blocks
from phenolake.dose_response.hill import SLOPES, Floats, dose_axis, grid, saturation
from phenolake.dose_response.limits import CurveLimits
from phenolake.errors import ConfigurationError

Interval = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """A fitted curve; an end of an interval that the data leave open is infinite.

    Attributes
    ----------
    zero, full
        Response without compound (mean over plates) and at an endless dose.
    ec50, hill
        Dose of the half-maximal response, and slope.
    zero_interval, full_interval, ec50_interval, hill_interval
        Profile likelihood intervals.
    r_squared
        Share of the variance within plates that the curve explains.
    residual_sd
        SD of wells about the curve.
    activity_p
        From `trend_p_values`.
    misfit_p
        Lack-of-fit F test of dose means against replicates; NaN without replicates.
    misfit
        Root mean square distance of dose means from the curve, as a share of `|full - zero|`.
    no_activity, outside_tested_range, poor_fit
        Flags by the limits; the last two are False where there is no activity.
    """

    zero: float
    full: float
    ec50: float
    hill: float
    zero_interval: Interval
    full_interval: Interval
    ec50_interval: Interval
    hill_interval: Interval
    r_squared: float
    residual_sd: float
    activity_p: float
    misfit_p: float
    misfit: float
    no_activity: bool
    outside_tested_range: bool
    poor_fit: bool

    @property
    def flag(self) -> str:
        """The first that applies of no_activity, poor_fit, outside_tested_range; else ok."""
        for name in ("no_activity", "poor_fit", "outside_tested_range"):
            if getattr(self, name):
                return name
        return "ok"


def fit_curve(
    doses: ArrayLike,
    values: ArrayLike,
    plates: Sequence[object] | None = None,
    *,
    ordinal: bool = False,
    limits: CurveLimits | None = None,
) -> Curve:
    """Four-parameter logistic curve of one compound, least squares, each plate at its own level.

    Parameters
    ----------
    doses
        Dose per well; 0 for wells without compound, which anchor the curve.
    values
        Response per well; NaN is left out.
    plates
        Plate per well; default: one plate.
    ordinal
        Doses are steps of a series, which count as logarithms already.
    limits
        Limits of the flags.

    Raises
    ------
    ConfigurationError
        If there are fewer doses above zero than `limits.doses`, or too few wells.

    References
    ----------
    Seber, Wild, Nonlinear Regression (1989), 5.2.3 for the intervals; Golub, Pereyra, SIAM J.
    Numer. Anal. 10:413 (1973) for the separation of linear and nonlinear parameters.
    """
    dose, value = np.asarray(doses, np.float64), np.asarray(values, np.float64)
    kept = np.isfinite(value) & np.isfinite(dose)
    names = np.zeros(dose.size) if plates is None else np.array([str(name) for name in plates])
    blocks = np.unique(names[kept], return_inverse=True)[1]
    return fit_responses(
        value[None, kept], dose[kept], blocks, ordinal=ordinal, limits=limits or CurveLimits()
    )[0]


def fit_responses(
    values: Floats, doses: Floats, blocks: np.ndarray, *, ordinal: bool, limits: CurveLimits
) -> list[Curve]:
    """A curve per row of `values`, shape (response, well), finite; see `fit_curve`."""
    tested = np.unique(doses[doses > 0])
    freedom = doses.size - (int(blocks.max()) + 1 if blocks.size else 0) - 3
    if tested.size < limits.doses or freedom < 1:
        raise ConfigurationError(
            f"a curve needs {limits.doses} doses and one well more than parameters; "
            f"got {tested.size} doses in {doses.size} wells"
        )
    # Wells in the order of dose, so that compounds tested alike share the grid.
    order = np.lexsort((blocks, doses))
    values, doses, blocks = values[:, order], doses[order], blocks[order]
    axis = dose_axis(doses, ordinal)
    places, level = np.unique(axis, return_inverse=True)
    p_values = trend_p_values(values, axis, blocks)
    midpoints, saturations = grid(tuple(places))
    shapes = saturations[:, :, level]
    means = shapes.reshape(-1, doses.size).mean(axis=1)
    centred = within_blocks(shapes.reshape(-1, doses.size), blocks)
    power = np.maximum((centred**2).sum(axis=1), 1e-12)
    work = _Design(doses, axis, blocks, midpoints, centred, means, power, freedom, ordinal, limits)
    return [_fit_one(row, work, float(p)) for row, p in zip(values, p_values, strict=True)]


@dataclass(frozen=True)
class _Design:
    """Wells of a compound, and every curve of the grid at them: shape (curve, well)."""

    doses: Floats
    axis: Floats
    blocks: np.ndarray
    midpoints: Floats
    curves: Floats
    curve_means: Floats
    power: Floats
    freedom: int
    ordinal: bool
    limits: CurveLimits

    def dose_of(self, place: float) -> float:
        """Dose at a place of the axis."""
        return place if self.ordinal else float(10.0**place)


def _fit_one(values: Floats, design: _Design, activity_p: float) -> Curve:
    from scipy.stats import f as f_distribution

    centred = within_blocks(values, design.blocks)
    total = float(centred @ centred)
    along = design.curves @ centred
    errors = np.maximum(total - along**2 / design.power, 0)
    midpoint, slope, span, error = _refined(centred, design, int(errors.argmin()))
    shape = saturation(design.axis, midpoint, slope)
    zero = float(values.mean() - span * shape.mean())
    variance = error / design.freedom
    quantile = float(f_distribution.ppf(design.limits.confidence, 1, design.freedom))
    # Numerical noise of a perfect fit is no information about the interval.
    limit = error + max(quantile * variance, 1e-12 * total)
    ends = _intervals(design, errors, along, limit, float(values.mean()))
    residuals = centred - within_blocks(span * shape, design.blocks)
    misfit_p, misfit = _lack_of_fit(residuals, design, span)
    ec50 = design.dose_of(midpoint)
    tested = design.doses[design.doses > 0]
    r_squared = 1 - error / total if total > 0 else 0.0
    limits = design.limits
    active = activity_p < limits.activity_p
    return Curve(
        zero=zero,
        full=zero + span,
        ec50=ec50,
        hill=slope,
        zero_interval=_around(ends["zero"], zero),
        full_interval=_around(ends["full"], zero + span),
        ec50_interval=_around(ends["ec50"], ec50),
        hill_interval=_around(ends["hill"], slope),
        r_squared=r_squared,
        residual_sd=float(np.sqrt(variance)),
        activity_p=activity_p,
        misfit_p=misfit_p,
        misfit=misfit,
        no_activity=not active,
        outside_tested_range=active and not tested.min() <= ec50 <= tested.max(),
        poor_fit=active
        and (
            r_squared < limits.r_squared or (misfit_p < limits.misfit_p and misfit > limits.misfit)
        ),
    )


def _refined(centred: Floats, design: _Design, start: int) -> tuple[float, float, float, float]:
    """Midpoint, slope, span and sum of squares of the best curve near one of the grid."""
    from scipy.optimize import least_squares

    def residuals(parameters: Floats) -> Floats:
        shape = saturation(design.axis, parameters[0], np.exp(parameters[1]))
        shape = within_blocks(shape, design.blocks)
        return np.asarray(centred - shape * _slope(shape, centred))

    place, slope = divmod(start, SLOPES.size)
    low = [design.midpoints[0], np.log(SLOPES[0])]
    high = [design.midpoints[-1], np.log(SLOPES[-1])]
    guess = np.clip([design.midpoints[place], np.log(SLOPES[slope])], low, high)
    best = least_squares(residuals, guess, bounds=(low, high), x_scale=(0.3, 0.3))
    midpoint, steepness = float(best.x[0]), float(np.exp(best.x[1]))
    shape = within_blocks(saturation(design.axis, midpoint, steepness), design.blocks)
    return midpoint, steepness, _slope(shape, centred), float(best.fun @ best.fun)


def _slope(shape: Floats, centred: Floats) -> float:
    return float(shape @ centred) / max(float(shape @ shape), 1e-12)


def _intervals(
    design: _Design, errors: Floats, along: Floats, limit: float, mean: float
) -> dict[str, Interval]:
    """Values that some curve of the grid within the limit has, by parameter.

    Given midpoint and slope the other two are linear, so what they may be is known exactly.
    """
    table = errors.reshape(design.midpoints.size, SLOPES.size)
    low, high = _crossing(design.midpoints, table.min(axis=1), limit)
    ends = {"ec50": _as_doses(design, low, high)}
    ends["hill"] = _crossing(SLOPES, table.min(axis=0), limit)
    inside = errors <= limit
    if not inside.any():
        return {**ends, "zero": (np.nan, np.nan), "full": (np.nan, np.nan)}
    slack = limit - errors[inside]
    span = along[inside] / design.power[inside]
    for name, weight in (
        ("zero", -design.curve_means[inside]),
        ("full", 1 - design.curve_means[inside]),
    ):
        centre = mean + weight * span
        reach = np.sqrt(slack * (weight**2 / design.power[inside] + 1 / design.doses.size))
        ends[name] = (float((centre - reach).min()), float((centre + reach).max()))
    return ends


def _as_doses(design: _Design, low: float, high: float) -> Interval:
    return (
        low if np.isinf(low) else design.dose_of(low),
        high if np.isinf(high) else design.dose_of(high),
    )


def _crossing(nodes: Floats, profile: Floats, limit: float) -> Interval:
    """Where a profile rises above the limit, left and right of its valley; infinite if nowhere."""
    inside = np.flatnonzero(profile <= limit)
    if not inside.size:
        return np.nan, np.nan
    first, last = int(inside[0]), int(inside[-1])
    return (
        -np.inf if first == 0 else _between(nodes, profile, first - 1, first, limit),
        np.inf if last == nodes.size - 1 else _between(nodes, profile, last + 1, last, limit),
    )


def _between(nodes: Floats, profile: Floats, out: int, inside: int, limit: float) -> float:
    share = (profile[out] - limit) / max(profile[out] - profile[inside], 1e-300)
    return float(nodes[out] + share * (nodes[inside] - nodes[out]))


def _around(interval: Interval, estimate: float) -> Interval:
    """The interval, or the estimate where the valley is narrower than a step of the grid."""
    low, high = interval
    if np.isnan(low):
        return estimate, estimate
    return min(low, estimate), max(high, estimate)


def _lack_of_fit(residuals: Floats, design: _Design, span: float) -> tuple[float, float]:
    """P value of dose means off the curve, and how far they are as a share of the span."""
    from scipy.stats import f as f_distribution

    _, level = np.unique(design.doses, return_inverse=True)
    count = np.bincount(level)
    means = np.bincount(level, residuals) / count
    misfit = float(np.sqrt(np.mean(means**2)))
    share = misfit / abs(span) if span else float("inf")
    blocks = int(design.blocks.max()) + 1
    pure_freedom = design.doses.size - count.size - blocks + 1
    misfit_freedom = count.size - 4
    if pure_freedom < 1 or misfit_freedom < 1:
        return float("nan"), share
    pure = float(((residuals - means[level]) ** 2).sum())
    lack = float((count * means**2).sum())
    if pure <= 0:
        return float("nan"), share
    ratio = (lack / misfit_freedom) / (pure / pure_freedom)
    return float(f_distribution.sf(ratio, misfit_freedom, pure_freedom)), share
