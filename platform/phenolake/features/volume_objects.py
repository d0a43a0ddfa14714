"""Objects of a z stack: the pixel lists of a mask (z, y, x), and which lie on an edge."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from phenolake.features.objects import Objects


@dataclass(frozen=True)
class VolumeObjects:
    """Objects of one mask (z, y, x) in order of their number; voxels in plane and row order.

    `listed` holds the same voxels as if the planes stood below each other in one image.
    """

    labels: NDArray[np.int32]
    listed: Objects

    @classmethod
    def of(cls, mask: NDArray[np.integer], name: str = "mask") -> VolumeObjects:
        """Objects of a label image; see `Objects.of`."""
        mask = np.asarray(mask)
        listed = Objects.of(mask.reshape(-1, mask.shape[2]), name)
        return cls(listed.labels.reshape(mask.shape), listed)

    @property
    def count(self) -> int:
        """Number of objects."""
        return self.listed.count

    @cached_property
    def coordinates(self) -> NDArray[np.int64]:
        """Plane, row and column of each listed voxel, shape (3, voxels)."""
        planes, rows = np.divmod(self.listed.rows.astype(np.int64), self.labels.shape[1])
        return np.stack([planes, rows, self.listed.cols])

    @cached_property
    def centroids(self) -> NDArray[np.float64]:
        """Mean plane, row and column of each object, shape (objects, 3)."""
        sums = np.add.reduceat(self.coordinates, self.listed.starts[:-1], axis=1)
        return sums.T / self.listed.areas[:, None]

    @cached_property
    def boxes(self) -> NDArray[np.int64]:
        """First plane, row and column of each object, then those past the last; (objects, 6)."""
        starts = self.listed.starts[:-1]
        first = np.minimum.reduceat(self.coordinates, starts, axis=1)
        last = np.maximum.reduceat(self.coordinates, starts, axis=1)
        return np.concatenate([first, last + 1]).T

    @cached_property
    def inner_edge(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Listed voxels with a face on another object or the background, and where objects' begin.

        The border of the stack is no edge.
        """
        flags = np.zeros(self.labels.shape, bool)
        for axis in range(3):
            ahead, behind = [slice(None)] * 3, [slice(None)] * 3
            ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
            differs = self.labels[tuple(ahead)] != self.labels[tuple(behind)]
            flags[tuple(ahead)] |= differs
            flags[tuple(behind)] |= differs
        edge = np.flatnonzero(flags.ravel()[self.listed.places])
        return edge, np.searchsorted(edge, self.listed.starts)
