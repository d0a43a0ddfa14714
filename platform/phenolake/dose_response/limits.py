"""From which numbers on a curve is called active, poorly fitted, or worth fitting at all."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CurveLimits:
    """Limits of the flags of a curve.

    Attributes
    ----------
    activity_p
        A compound is active when the chance of so strong a trend among wells alike is below.
    r_squared
        An active curve that explains less of the variance within plates is a poor fit.
    misfit_p, misfit
        So is one whose dose means are off the curve more than replicates allow (p of the
        lack-of-fit test) and by more than this share of the curve's span.
    doses
        Fewest doses above zero that are fitted.
    confidence
        Level of the intervals.
    """

    activity_p: float = 0.01
    r_squared: float = 0.5
    misfit_p: float = 0.01
    misfit: float = 0.15
    doses: int = 3
    confidence: float = 0.95
