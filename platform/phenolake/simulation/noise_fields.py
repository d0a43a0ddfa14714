"""Periodic random fields from which all cell textures are cut; made once per process and scale."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

#: Edge of the tiles; a power of two so that wrapping is a bit mask.
TILE = 256
GRAIN, BLOTCH, THREADS, SPOTS, CLOUD = range(5)


@lru_cache(maxsize=4)
def noise_fields(scale: float) -> np.ndarray:
    """Fields GRAIN, BLOTCH, THREADS, SPOTS, CLOUD; float32, shape (5, 256, 256), periodic.

    GRAIN, BLOTCH and CLOUD have mean 0 and standard deviation 1 at growing lengths; THREADS (a net
    of filaments) and SPOTS lie in 0 to 1. `scale` multiplies all lengths.
    """
    rng = np.random.default_rng(20240229)
    net = _smooth(rng, 2.2 * scale)
    threads = np.exp(-((net / 0.42) ** 2)) * (0.75 + 0.25 * np.tanh(_smooth(rng, 4.0 * scale)))
    points = (rng.random((TILE, TILE)) < 0.010 / scale**2) * rng.gamma(2.0, 0.5, (TILE, TILE))
    spots = _lowpass(points, 1.1 * scale)
    fields = [
        _smooth(rng, 0.9 * scale),
        _smooth(rng, 2.6 * scale),
        np.clip(threads, 0, 1),
        np.clip(spots / np.quantile(spots, 0.995), 0, 1),
        _smooth(rng, 9.0 * scale),
    ]
    bank = np.stack(fields).astype(np.float32)
    bank.setflags(write=False)
    return bank


def _smooth(rng: np.random.Generator, sigma: float) -> np.ndarray:
    field = _lowpass(rng.standard_normal((TILE, TILE)), sigma)
    return (field - field.mean()) / field.std()


def _lowpass(field: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur on the torus."""
    f = np.fft.fftfreq(TILE)
    transfer = np.exp(-2 * (np.pi * sigma) ** 2 * (f[:, None] ** 2 + f[None, :] ** 2))
    return np.fft.ifft2(np.fft.fft2(field) * transfer).real
