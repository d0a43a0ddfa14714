"""Label images from the flow fields of a network, as Cellpose defines them, in a fraction of the time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.errors import ChannelError
from phenolake.segmentation.label_images import Labels, keep, renumber

#: Pixels above this logit are foreground, followed along the flows.
PROBABILITY_THRESHOLD = 0.0
#: Objects whose own flows are further from the network's than this are no objects.
FLOW_THRESHOLD = 0.4
ITERATIONS = 200
SMALLEST = 15
#: An object with more than this share of the image is taken for background.
LARGEST_SHARE = 0.4


def labels_from_flows(
    flows: NDArray[np.float32],
    logits: NDArray[np.float32],
    *,
    probability_threshold: float = PROBABILITY_THRESHOLD,
    flow_threshold: float = FLOW_THRESHOLD,
    iterations: int = ITERATIONS,
    smallest: int = SMALLEST,
    largest_share: float = LARGEST_SHARE,
) -> Labels:
    """Label image int32 (y, x) of the objects that a flow field describes.

    Each foreground pixel walks along the flows; pixels whose walks end at one place are one object.
    An object stays if the flows that its outline would have are near those of the network. Holes
    are filled. Numbers run 1..n in raster order. An object can have several pieces.

    Parameters
    ----------
    flows
        Float32 (2, y, x): steps along y and x, pixels, of length about 1 inside objects. What a
        Cellpose network puts out is five times that.
    logits
        Float32 (y, x): logit of the probability that a pixel is in an object.
    probability_threshold
        Pixels above this logit are foreground. A pixel where a flow or the logit is not finite is
        background.
    flow_threshold
        Largest mean squared distance to the object's own flows; 0 or below leaves the check out.
    iterations
        Steps of each walk.
    smallest
        Objects of fewer pixels are dropped, before and after holes are filled.
    largest_share
        Objects with more than this share of the image's pixels are dropped.

    Raises
    ------
    ChannelError
        If the shapes do not fit.

    References
    ----------
    C. Stringer et al., Cellpose: a generalist algorithm for cellular segmentation, Nature Methods
    18 (2021).

    Examples
    --------
    >>> flows = np.zeros((2, 40, 40), np.float32)
    >>> rows, columns = np.mgrid[-20:20, -20:20]
    >>> distance = np.maximum(np.hypot(rows, columns), 1)
    >>> flows[:] = np.stack((-rows, -columns)) / distance
    >>> int(labels_from_flows(flows, 10 - distance.astype(np.float32)).max())
    1
    """
    from phenolake.segmentation.flow_kernels import fill_object_holes, gather_ends
    from phenolake.segmentation.flow_walk import padded_field, walk_ends

    flows = np.asarray(flows, np.float32)
    logits = np.asarray(logits, np.float32)
    check_shapes(flows.shape, logits.shape)
    foreground = (logits > probability_threshold) & np.isfinite(flows).all(axis=0)
    foreground &= np.isfinite(logits)
    pixels = np.flatnonzero(foreground)
    if pixels.size == 0:
        return np.zeros(logits.shape, np.int32)
    ends = walk_ends(padded_field(flows, foreground), pixels, iterations)
    labels, count = gather_ends(pixels, ends, *logits.shape)
    labels = keep(labels, _sizes(labels, count) <= largest_share * labels.size)
    if flow_threshold > 0 and labels.any():
        from phenolake.segmentation.flow_check import flow_errors

        labels = keep(labels, flow_errors(labels, flows, count) <= flow_threshold)
    labels = keep(labels, _sizes(labels, count) >= smallest)
    labels = fill_object_holes(labels, count)
    return renumber(keep(labels, _sizes(labels, count) >= smallest))


def compile_decoder() -> None:
    """Decode one disc, so that every kernel is compiled and cached."""
    rows, columns = np.mgrid[-16:16, -16:16].astype(np.float32)
    distance = np.maximum(np.hypot(rows, columns), 1)
    labels_from_flows(np.stack((-rows, -columns)) / distance, 10 - distance)


def check_shapes(flows: tuple[int, ...], logits: tuple[int, ...]) -> None:
    """Raise ChannelError unless flows are (..., 2, y, x) and logits (..., y, x), y and x above 0."""
    if (
        len(flows) < 3
        or flows[-3] != 2
        or flows[:-3] + flows[-2:] != tuple(logits)
        or 0 in logits[-2:]
    ):
        raise ChannelError(
            f"expected flows (2, y, x) and logits (y, x) with pixels, got {flows} and {logits}"
        )


def _sizes(labels: Labels, count: int) -> NDArray[np.int64]:
    return np.bincount(labels.ravel(), minlength=count + 1)
