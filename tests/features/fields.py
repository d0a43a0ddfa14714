"""Synthetic fields with awkward objects: rings, split and one-pixel objects, at the border, touching."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def random_labels(seed: int, shape=(90, 110), objects: int = 25) -> np.ndarray:
    """Labels 1..n: wedges of smooth noise around random seeds, many touching, some split or pierced."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), 2.0)
    seeds = np.zeros(shape, int)
    places = rng.choice(seeds.size, objects, replace=False)
    seeds.flat[places] = np.arange(1, objects + 1)
    nearest = ndimage.distance_transform_edt(
        seeds == 0, return_distances=False, return_indices=True
    )
    labels = np.where(noise > np.quantile(noise, 0.45), seeds[tuple(nearest)], 0)
    return contiguous(labels)


def contiguous(labels: np.ndarray) -> np.ndarray:
    """The same objects, numbered 1..n in the same order."""
    numbers = np.unique(labels[labels > 0])
    return np.where(labels > 0, np.searchsorted(numbers, labels) + 1, 0).astype(np.int32)


def random_image(seed: int, channels: int = 3, shape=(90, 110), dtype=np.uint16) -> np.ndarray:
    """Smooth structures with noise, using most of the dtype's range in the brightest channel."""
    rng = np.random.default_rng(seed)
    smooth = np.stack(
        [ndimage.gaussian_filter(rng.standard_normal(shape), 1.0 + 2 * c) for c in range(channels)]
    )
    smooth /= np.abs(smooth).max(axis=(1, 2), keepdims=True)
    bright = np.linspace(0.9, 0.2, channels)[:, None, None]
    image = np.clip(bright * (0.5 + 0.5 * smooth) + 0.01 * rng.standard_normal(smooth.shape), 0, 1)
    return np.round(image * np.iinfo(dtype).max).astype(dtype)


def compartments(seed: int, shape=(90, 110)) -> dict[str, np.ndarray]:
    """Cells, nuclei inside them and the cytoplasm between, all with the same numbers."""
    cells = random_labels(seed, shape)
    depth = ndimage.distance_transform_edt(cells > 0)
    nuclei = np.where(depth > 2, cells, 0).astype(np.int32)
    return {"Nuclei": nuclei, "Cells": cells, "Cytoplasm": np.where(nuclei > 0, 0, cells)}
