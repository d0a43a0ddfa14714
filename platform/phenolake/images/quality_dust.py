"""Dust in the light path: places that differ the same way in most fields of a plate."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

#: Cells of the grid along the longer edge, and the two Gaussians of its contrast, in cells.
_CELLS, _FINE, _WIDE = 128, 1.0, 6.0
#: Standard errors from zero that make a place dust, and the fewest fields to say so.
_ERRORS, _FEWEST = 6.0, 16
#: A contrast this far from zero counts no more: a cell is one field's, dust is everybody's.
_LIMIT = 2.0


def dust_grid(image: np.ndarray) -> np.ndarray:
    """Contrast of a coarse grid in robust SDs, clipped; float32, shape (channel, rows, columns)."""
    from scipy.ndimage import gaussian_filter

    step = min(-(-max(image.shape[1:]) // _CELLS), min(image.shape[1:]))
    rows, columns = (edge // step for edge in image.shape[1:])
    blocks = image[:, : rows * step, : columns * step].reshape(
        len(image), rows, step, columns, step
    )
    means = blocks.mean(axis=(2, 4), dtype=np.float32)
    fine = gaussian_filter(means, (0, _FINE, _FINE), mode="nearest")
    contrast = fine - gaussian_filter(means, (0, _WIDE, _WIDE), mode="nearest")
    spread = 1.4826 * np.median(np.abs(contrast), axis=(1, 2), keepdims=True)
    return np.asarray(np.clip(contrast / np.maximum(spread, 1e-9), -_LIMIT, _LIMIT), np.float32)


def dust_share(dust_map: np.ndarray) -> float:
    """Share of the field over 6 standard errors from its surroundings in all fields together."""
    return float((np.abs(dust_map) > _ERRORS).mean())


@dataclass
class DustMap:
    """Running sums over fields; fields of another size than the first are left out."""

    count: int = 0
    _sum: np.ndarray | None = field(default=None, repr=False)
    _squares: np.ndarray | None = field(default=None, repr=False)

    def add(self, grid: np.ndarray) -> None:
        """Take a field's `dust_grid` in."""
        if self._sum is None or self._squares is None:
            self._sum, self._squares = np.zeros(grid.shape), np.zeros(grid.shape)
        if grid.shape == self._sum.shape:
            self._sum += grid
            self._squares += grid.astype(np.float64) ** 2
            self.count += 1

    def maps(self) -> np.ndarray:
        """Mean contrast over its standard error, shape (channel, rows, columns).

        With fewer than 16 fields there is nothing to tell: shape (0, 0, 0).
        """
        if self._sum is None or self._squares is None or self.count < _FEWEST:
            return np.zeros((0, 0, 0))
        mean = self._sum / self.count
        variance = np.maximum(self._squares / self.count - mean**2, 0.0)
        # Clipping bright cells shifts the mean everywhere alike; dust is what differs from that.
        mean -= np.median(mean, axis=(1, 2), keepdims=True)
        # No less than the typical error: fields may agree at a place because no cell lies there.
        error = np.sqrt(variance / (self.count - 1))
        typical = np.median(error, axis=(1, 2), keepdims=True)
        return np.asarray(mean / np.maximum(np.maximum(error, typical), 1e-9))
