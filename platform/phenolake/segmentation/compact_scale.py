"""The scale at which `compact` looks at an image: that of nuclei of a size it sees well."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phenolake.segmentation.foreground import Plane

#: Typical diameters, pixels, at which the network sees nuclei as it should; other images are
#: scaled to `_BEST_DIAMETER`.
_COMFORTABLE = (16.0, 56.0)
_BEST_DIAMETER = 26.0
#: No image is grown by more than this.
_LARGEST_GROWTH = 3.0


def scale_for(diameter: float) -> float:
    """Factor by which an image with nuclei of this typical diameter, pixels, is resized."""
    low, high = _COMFORTABLE
    if low <= diameter <= high:
        return 1.0
    return min(_BEST_DIAMETER / diameter, _LARGEST_GROWTH)


def resized(plane: Plane, scale: float) -> NDArray[np.float32]:
    """The plane with its height and width times `scale`; linear, smoothed where it shrinks."""
    import torch
    from torch.nn import functional

    if scale == 1:
        return plane
    size = [max(1, round(length * scale)) for length in plane.shape]
    image = torch.from_numpy(np.ascontiguousarray(plane))[None, None]
    return functional.interpolate(image, size=size, mode="bilinear", antialias=True)[0, 0].numpy()
