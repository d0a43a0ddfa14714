"""Does a response follow the dose at all: a multiple contrast test over shapes of curves."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from phenolake.dose_response.hill import Floats, saturation

_SLOPES = np.array([0.3, 0.7, 1.5, 4.0])
_MIDPOINTS = 16
_DRAWS = 4999
_SEED = 20_040  # of the null distribution, so that a curve keeps its p value


def trend_p_values(values: Floats, axis: Floats, blocks: np.ndarray) -> Floats:
    """Chance that wells which differ by noise alone follow some curve so well.

    The statistic is the largest correlation, within blocks, of the values with the curves of a
    grid of midpoints and slopes; its null distribution is simulated for the same doses and blocks
    with normal noise, so that the test keeps its level for any design. The smallest value is
    1 / 5000.

    Parameters
    ----------
    values
        Shape (response, well), finite.
    axis
        Place of each well's dose, from `dose_axis`.
    blocks
        Plate of each well as an integer from 0: wells are compared within a block.

    References
    ----------
    Bretz, Pinheiro, Branson, Biometrics 61:738 (2005): tests by contrasts of candidate curves.
    """
    contrasts, null = _null(tuple(axis), tuple(blocks.tolist()))
    centred = within_blocks(values, blocks)
    return _exceeded(_largest(contrasts, centred), null)


@lru_cache(maxsize=256)
def _null(axis: tuple[float, ...], blocks: tuple[int, ...]) -> tuple[Floats, Floats]:
    places, block = np.array(axis), np.array(blocks)
    tested = places[np.isfinite(places)]
    midpoints = np.linspace(tested.min(), tested.max(), _MIDPOINTS)
    curves = saturation(places, midpoints[:, None, None], _SLOPES[:, None]).reshape(-1, places.size)
    contrasts = within_blocks(curves, block)
    length = np.linalg.norm(contrasts, axis=1, keepdims=True)
    contrasts = contrasts[length[:, 0] > 1e-9] / length[length[:, 0] > 1e-9]
    noise = np.random.default_rng(_SEED).standard_normal((_DRAWS, places.size))
    return contrasts, np.sort(_largest(contrasts, within_blocks(noise, block)))


def _largest(contrasts: Floats, centred: Floats) -> Floats:
    length = np.linalg.norm(centred, axis=1)
    if not contrasts.size:
        return np.zeros(centred.shape[0])
    along = np.abs(centred @ contrasts.T).max(axis=1)
    return np.divide(along, length, out=np.zeros_like(along), where=length > 0)


def _exceeded(statistics: Floats, null: Floats) -> Floats:
    above = null.size - np.searchsorted(null, statistics, side="left")
    return np.asarray((1 + above) / (1 + null.size))


def within_blocks(values: Floats, blocks: np.ndarray) -> Floats:
    """Values less the mean of their block; shape (..., well)."""
    member = np.equal.outer(np.arange(blocks.max() + 1), blocks).astype(np.float64)
    means = values @ (member / member.sum(axis=1, keepdims=True)).T
    return np.asarray(values - means @ member)
