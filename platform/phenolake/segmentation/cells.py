"""Cell bodies grown from nuclei over a cell channel."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from phenolake.segmentation.classical_settings import ClassicalSettings
from phenolake.segmentation.flooding import grow_seeds
from phenolake.segmentation.foreground import Plane, find_signal
from phenolake.segmentation.label_images import Labels, fill_holes, object_means
from phenolake.segmentation.nuclei import typical_diameter

#: Every cell has a ring at least so wide, and reaches at most so far, in nuclear diameters.
_RING = 0.2
_REACH = 2.0
#: Pixels darker than so many noise standard deviations belong to no cell's body.
_NOISE_SIGMAS = 3.0


def find_cells(
    plane: Plane,
    nuclei: Labels,
    diameter: float | None = None,
    settings: ClassicalSettings | None = None,
) -> Labels:
    """Label the cells around given nuclei, int32, shape (y, x), with the nuclei's numbers.

    Each nucleus grows over the cell channel; edges and dark gaps hold the front back, so that
    touching cells part there, and half way where the channel shows nothing. A cell ends where its
    brightness falls to a part of the brightness beside its own nucleus, and never lies wholly
    inside its nucleus: a ring is always added as far as neighbours leave room.

    Parameters
    ----------
    plane
        float32, shape (y, x), finite, any unit.
    nuclei
        int32, shape (y, x), 0 = background.
    diameter
        Typical nuclear diameter, pixels; taken from `nuclei` if None.
    settings
        How to grow. The default of `cell_edge`, 0.4, is the best of nine values by Z' on the
        control wells of the FKHR plate: its Z' is in-sample.
    """
    settings = settings or ClassicalSettings()
    if not nuclei.any():
        return np.zeros(plane.shape, np.int32)
    diameter = diameter or typical_diameter(nuclei)
    everywhere = np.ones(plane.shape, bool)
    reach = settings.cell_distance_px or _REACH * diameter
    if settings.cell_method == "distance":
        return grow_seeds(nuclei, np.zeros(plane.shape, np.float32), everywhere, reach)
    signal = find_signal(plane, sigma=1.5, window=max(plane.shape))
    # An empty channel has neither noise nor signal; any unit will do.
    unit = max(signal.noise, 1e-6 * float(np.abs(signal.image).max())) or 1.0
    barrier = _barrier(signal.image, unit) * np.float32(1 / settings.regularization)
    territory = grow_seeds(nuclei, barrier, everywhere, reach)
    ring = grow_seeds(nuclei, barrier, everywhere, max(2.0, _RING * diameter))
    level = settings.cell_edge * object_means(np.where(nuclei > 0, 0, ring), signal.image)
    level = np.maximum(level, _NOISE_SIGMAS * signal.noise).astype(np.float32)
    # Opening takes off threads thinner than three pixels, which are noise or a neighbour's edge.
    body = ndimage.binary_opening((territory > 0) & (signal.image > level[territory]))
    body = fill_holes(body | (ring > 0), np.pi / 4 * diameter**2)
    return grow_seeds(nuclei, barrier, body, reach)


def _barrier(image: Plane, unit: float) -> Plane:
    """Relative brightness steps: gradient magnitude of the logarithm."""
    relief = np.log(np.maximum(image, 0) + np.float32(3 * unit))
    dy, dx = (ndimage.gaussian_filter1d(relief, 1.0, axis=a, order=1) for a in (0, 1))
    return np.hypot(dy, dx)
