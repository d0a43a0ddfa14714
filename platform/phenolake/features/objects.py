"""The geometry of one mask, worked out once and shared by every family and channel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from phenolake.errors import ConfigurationError


@dataclass(frozen=True)
class Hulls:
    """Corners of each object's convex hull; object k has `starts[k]` to `starts[k + 1]`."""

    starts: NDArray[np.int64]
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]


@dataclass(frozen=True)
class Objects:
    """Objects of one mask, sorted by number; object k has pixels `starts[k]` to `starts[k + 1]`.

    `labels` is int32 (y, x) with 1..n in the order of `numbers` and 0 = background. `rows` and
    `cols` list the pixels by object, in row order within it. `boxes` is int32 (n, 4): first row,
    first column, row and column past the last.
    """

    numbers: NDArray[np.int32]
    labels: NDArray[np.int32]
    starts: NDArray[np.int64]
    rows: NDArray[np.int32]
    cols: NDArray[np.int32]
    boxes: NDArray[np.int32]

    @classmethod
    def of(cls, mask: NDArray[np.integer], name: str = "mask") -> Objects:
        """Objects of a label image (y, x), any integer dtype, any numbers; the mask is not changed.

        Raises
        ------
        ConfigurationError
            If the mask is not of integers, has a negative label or one above 2**31 - 1.
        """
        from phenolake.features.kernels.pixels import list_pixels, renumber

        mask = np.asarray(mask)
        if mask.dtype.kind not in "iub":
            raise ConfigurationError(f"mask {name}: expected integer labels, got {mask.dtype}")
        lowest, highest = (int(mask.min()), int(mask.max())) if mask.size else (0, 0)
        if lowest < 0 or highest > np.iinfo(np.int32).max:
            raise ConfigurationError(
                f"mask {name}: labels run from {lowest} to {highest}, expected 0 to 2**31 - 1"
            )
        labels = np.array(mask, np.int32, order="C")
        if highest <= max(4 * mask.size, 1 << 16):
            numbers = renumber(labels, highest)
        else:
            present = np.unique(labels)
            numbers = present[present > 0]
            labels[:] = np.where(labels > 0, np.searchsorted(numbers, labels) + 1, 0)
        return cls(numbers, labels, *list_pixels(labels, numbers.size))

    def piece(self, first: int, last: int) -> Objects:
        """Objects `first` to `last` - 1 with what was worked out of all; labels stay as they are.

        It serves what needs only the pixels of each object and not its surroundings.
        """
        start, stop = self.starts[first], self.starts[last]
        return _Piece(
            self.numbers[first:last],
            self.labels,
            self.starts[first : last + 1] - start,
            self.rows[start:stop],
            self.cols[start:stop],
            self.boxes[first:last],
            self,
            first,
        )

    @property
    def count(self) -> int:
        """Number of objects."""
        return int(self.numbers.size)

    @cached_property
    def areas(self) -> NDArray[np.float64]:
        """Pixels of each object."""
        return np.diff(self.starts).astype(np.float64)

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """Each listed pixel's place in the flattened image."""
        return self.rows.astype(np.int64) * self.labels.shape[1] + self.cols

    @cached_property
    def flags(self) -> NDArray[np.uint8]:
        """Image (y, x) of the bits of `kernels.pixels.edge_flags`."""
        from phenolake.features.kernels.pixels import edge_flags

        return edge_flags(self.labels)

    @cached_property
    def inner_edge(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Listed pixels with a 4-neighbour elsewhere, and where each object's begin among them.

        The image border is no edge.
        """
        from phenolake.features.kernels.pixels import DIFFERS_4, flagged_pixels

        return flagged_pixels(self.flags, self.starts, self.rows, self.cols, DIFFERS_4)

    @cached_property
    def outline(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The same of pixels with an 8-neighbour elsewhere or at the image border."""
        from phenolake.features.kernels.pixels import AT_BORDER, DIFFERS_8, flagged_pixels

        bits = DIFFERS_8 | AT_BORDER
        return flagged_pixels(self.flags, self.starts, self.rows, self.cols, bits)

    @cached_property
    def distances(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Distance of each listed pixel to its object's edge: image border closed, and open."""
        from phenolake.features.kernels.distances import distance_to_edge

        return distance_to_edge(self.labels, self.rows, self.cols)

    @cached_property
    def hulls(self) -> Hulls:
        """Convex hulls of the pixel centres."""
        from phenolake.features.kernels.hulls import convex_hulls

        return Hulls(*convex_hulls(self.starts, self.rows, self.cols, self.boxes))

    @cached_property
    def enclosing_circles(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Centre (n, 2) and radius (n,) of the smallest circle around the pixel centres."""
        from phenolake.features.kernels.hulls import enclosing_circles

        return enclosing_circles(self.hulls.starts, self.hulls.rows, self.hulls.cols)

    @cached_property
    def coordinate_sums(self) -> NDArray[np.float64]:
        """Sums of y, x, yy, yx, xx from the middle of each box, shape (n, 5)."""
        from phenolake.features.kernels.shape import coordinate_sums

        return coordinate_sums(self.starts, self.rows, self.cols, self.boxes)

    @cached_property
    def centroids(self) -> NDArray[np.float64]:
        """Mean row and column of each object's pixels, shape (n, 2)."""
        middles = (self.boxes[:, :2] + self.boxes[:, 2:]) // 2
        return middles + self.coordinate_sums[:, :2] / self.areas[:, None]


@dataclass(frozen=True)
class _Piece(Objects):
    """Some of the objects of a mask, in their order, from object `first` on."""

    whole: Objects
    first: int

    @property
    def _objects(self) -> slice:
        return slice(self.first, self.first + self.count)

    @property
    def _pixels(self) -> slice:
        start = int(self.whole.starts[self.first])
        return slice(start, start + self.rows.size)

    @cached_property
    def inner_edge(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        edge, starts = self.whole.inner_edge
        own = starts[self.first : self.first + self.count + 1]
        return edge[own[0] : own[-1]] - self._pixels.start, own - own[0]

    @cached_property
    def distances(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        closed, opened = self.whole.distances
        return closed[self._pixels], opened[self._pixels]

    @cached_property
    def enclosing_circles(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        centres, radii = self.whole.enclosing_circles
        return centres[self._objects], radii[self._objects]
