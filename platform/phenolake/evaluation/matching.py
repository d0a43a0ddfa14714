"""Which true and predicted objects overlap, and by how much; all of an image's pairs at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from phenolake.errors import ConfigurationError, MaskShapeError

#: A part counts as a piece of an object from this share of the object's area on.
_LEAST_PIECE = 0.1


@dataclass(frozen=True)
class Overlaps:
    """All pairs of a true and a predicted object that share a pixel; only these are stored.

    Attributes
    ----------
    true_names, predicted_names
        int64, labels as in the images, without the background.
    true_area, predicted_area
        int64, pixels of each object.
    true, predicted
        int64, positions of each pair's objects in the arrays above.
    shared
        int64, pixels that each pair shares.
    """

    true_names: NDArray[np.int64]
    predicted_names: NDArray[np.int64]
    true_area: NDArray[np.int64]
    predicted_area: NDArray[np.int64]
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    shared: NDArray[np.int64]

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each pair."""
        either = self.true_area[self.true] + self.predicted_area[self.predicted] - self.shared
        return self.shared / either

    def matched(self, threshold: float) -> NDArray[np.int64]:
        """Positions of the pairs of the one-to-one matching at an IoU threshold.

        From 0.5 on there is one matching (but for exact halves). Below, the one with the most
        pairs is taken, and of these the one with the largest sum of IoU.
        """
        fits = np.flatnonzero(self.iou >= threshold)
        rows, columns = self.true[fits], self.predicted[fits]
        if np.unique(rows).size == rows.size and np.unique(columns).size == columns.size:
            return fits
        first, row = np.unique(rows, return_inverse=True)
        second, column = np.unique(columns, return_inverse=True)
        # One more pair outweighs any sum of IoU.
        gain = np.zeros((first.size, second.size))
        gain[row, column] = 1 + self.iou[fits] / (2 * min(first.size, second.size))
        position = np.full(gain.shape, -1)
        position[row, column] = fits
        chosen = position[linear_sum_assignment(gain, maximize=True)]
        return np.sort(chosen[chosen >= 0])

    def split(self) -> NDArray[np.bool_]:
        """True objects that were cut: two predicted objects or more are pieces of each.

        A piece lies with more than half of its area in the object and is at least a tenth of it.
        """
        piece = 2 * self.shared > self.predicted_area[self.predicted]
        piece &= self.shared >= _LEAST_PIECE * self.true_area[self.true]
        return np.bincount(self.true[piece], minlength=self.true_names.size) > 1

    def merged(self) -> NDArray[np.bool_]:
        """Predicted objects that join: two true objects or more are pieces of each."""
        piece = 2 * self.shared > self.true_area[self.true]
        piece &= self.shared >= _LEAST_PIECE * self.predicted_area[self.predicted]
        return np.bincount(self.predicted[piece], minlength=self.predicted_names.size) > 1


def find_overlaps(truth: ArrayLike, predicted: ArrayLike, where: str = "image") -> Overlaps:
    """Return the pairs of overlapping objects of two label images.

    Parameters
    ----------
    truth, predicted
        Label images, any integer dtype, shape (y, x), 0 = background; numbers may have gaps.
    where
        Names the image in errors.

    Raises
    ------
    MaskShapeError
        If the images differ in shape.
    ConfigurationError
        If a label is negative or no integer.
    """
    true, true_names = _dense(truth, "truth")
    guess, guess_names = _dense(predicted, "predicted")
    if true.shape != guess.shape:
        raise MaskShapeError(where, true.shape, guess.shape)
    width = guess_names.size + 1
    both = (true > 0) & (guess > 0)
    pairs, shared = np.unique(true[both] * width + guess[both], return_counts=True)
    return Overlaps(
        true_names,
        guess_names,
        np.bincount(true.ravel(), minlength=true_names.size + 1)[1:],
        np.bincount(guess.ravel(), minlength=width)[1:],
        pairs // width - 1,
        pairs % width - 1,
        shared,
    )


def _dense(image: ArrayLike, side: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels made 0..n, so that sparse label numbers cost nothing, and what they were."""
    array = np.asarray(image)
    if array.dtype.kind not in "uib" or (array.size and array.min() < 0):
        raise ConfigurationError(f"{side}: labels must be integers from 0, got {array.dtype}")
    names, dense = np.unique(array, return_inverse=True)
    offset = 0 if names.size and names[0] == 0 else 1
    return dense.reshape(array.shape) + offset, names[1 - offset :].astype(np.int64)
