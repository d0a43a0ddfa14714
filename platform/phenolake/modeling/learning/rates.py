"""The learning rate over the course of a training."""

from __future__ import annotations

import math

from phenolake.modeling.learning.recipe import Schedule

_LOWEST = 0.01


def rate_factor(schedule: Schedule, progress: float, warm_up: float = 0.0) -> float:
    """Return by what the full learning rate is multiplied, in 0..1.

    Parameters
    ----------
    schedule
        `constant`; `step` falls tenfold after a half and after three quarters of the training;
        `cosine` falls to a hundredth at the end.
    progress
        Share of the training that is done, 0..1.
    warm_up
        Share of the training over which the rate first rises in a straight line.

    References
    ----------
    Loshchilov and Hutter (2017), "SGDR", for the cosine; the published study has no schedule.
    """
    if progress < warm_up:
        return progress / warm_up
    if schedule == "constant":
        return 1.0
    done = (progress - warm_up) / (1 - warm_up) if warm_up < 1 else 1.0
    if schedule == "step":
        return 1.0 if done < 0.5 else 0.1 if done < 0.75 else 0.01
    return _LOWEST + (1 - _LOWEST) * (1 + math.cos(math.pi * done)) / 2
