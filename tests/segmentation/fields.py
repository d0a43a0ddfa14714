"""Drawn fields with known nuclei and cells."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def disc(shape: tuple[int, int], y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def field(
    size: int = 256,
    *,
    radius: float = 10,
    body: float = 20,
    spacing: int = 56,
    background: float = 200,
    nucleus: float = 1500,
    cytoplasm: float = 700,
    noise: float = 15,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image float32 (2, y, x), true nuclei and true cells on a jittered grid."""
    rng = np.random.default_rng(seed)
    nuclei = np.zeros((size, size), np.int32)
    cells = np.zeros((size, size), np.int32)
    centres = np.arange(spacing // 2, size - spacing // 3, spacing)
    for number, (y, x) in enumerate(((y, x) for y in centres for x in centres), start=1):
        dy, dx = rng.uniform(-3, 3, 2)
        nuclei[disc(nuclei.shape, y + dy, x + dx, radius)] = number
        cells[disc(cells.shape, y + dy, x + dx, body)] = number
    clean = np.stack((nuclei > 0, cells > 0)).astype(np.float32)
    clean *= np.array([nucleus, cytoplasm], np.float32)[:, None, None]
    blurred = ndimage.gaussian_filter(clean, (0, 1, 1)) + background
    return (blurred + rng.normal(0, noise, blurred.shape)).astype(np.float32), nuclei, cells
