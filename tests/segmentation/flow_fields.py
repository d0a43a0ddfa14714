"""Flow fields and logits as a network would predict them, drawn from known objects."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from phenolake.segmentation.flow_targets import flows_from_labels


def packed_cells(size: int, count: int, seed: int = 0, fill: float = 0.42) -> np.ndarray:
    """Labels int32 (size, size) of cells around a jittered grid; many touch their neighbours."""
    rng = np.random.default_rng(seed)
    across = int(np.ceil(np.sqrt(count)))
    pitch = size / across
    grid = (np.stack(np.mgrid[:across, :across], -1).reshape(-1, 2)[:count] + 0.5) * pitch
    centres = grid + rng.uniform(-0.25, 0.25, grid.shape) * pitch
    at = np.clip(centres.round().astype(int), 0, size - 1)
    away = np.ones((size, size), bool)
    away[tuple(at.T)] = False
    numbers = np.zeros((size, size), np.int32)
    numbers[tuple(at.T)] = np.arange(1, count + 1)
    distance, nearest = ndimage.distance_transform_edt(away, return_indices=True)
    wobble = ndimage.gaussian_filter(rng.standard_normal((size, size)), 6)
    wobble *= 0.08 * pitch / wobble.std()
    return np.where(distance + wobble < fill * pitch, numbers[tuple(nearest)], 0).astype(np.int32)


def predicted(
    labels: np.ndarray, seed: int = 0, noise: float = 0.3
) -> tuple[np.ndarray, np.ndarray]:
    """Flows float32 (2, y, x) and logits float32 (y, x): those of the labels, blurred and noisy."""
    rng = np.random.default_rng(seed)
    wrong = ndimage.gaussian_filter(rng.standard_normal((3, *labels.shape)), (0, 2, 2))
    wrong *= noise / wrong.std()
    flows = ndimage.gaussian_filter(flows_from_labels(labels), (0, 1, 1)) + wrong[:2]
    logits = ndimage.gaussian_filter(np.where(labels > 0, 5.0, -5.0), 1) + 3 * wrong[2]
    return flows.astype(np.float32), logits.astype(np.float32)
