"""The microscope and its day: blur, haze, vignetting, stain strength, background, noise, dirt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from phenolake.simulation.assays import ASSAYS, Assay
from phenolake.simulation.plan import SimulationPlan
from phenolake.simulation.seeds import BATCH, PLATE, generator

#: Chance that a field is out of focus, and that it holds a piece of dirt.
OUT_OF_FOCUS = 0.012
DIRT = 0.06
_HAZE_STEP, _HAZE_WIDTH, _HAZE_SHARE = 16, 28.0, 0.10
_OFFSET = 110.0
_COUNTS_PER_ELECTRON = 2.2
_READ_NOISE = 9.0


@dataclass(frozen=True)
class Acquisition:
    """What a batch and a plate do to all their images; arrays are per channel, float32."""

    gain: np.ndarray
    background: np.ndarray
    shading: np.ndarray
    density: float


@lru_cache(maxsize=16)
def acquisition(plan: SimulationPlan, plate: str) -> Acquisition:
    """Stain strength, background, shading (channel, y, x) and seeding density of one plate."""
    assay = ASSAYS[plan.preset]
    channels = len(assay.stains)
    batch = generator(plan, BATCH, plan.batch_number(plate))
    own = generator(plan, PLATE, plan.plate_number(plate))
    gain = np.exp(batch.normal(0, 0.14, channels) + own.normal(0, 0.04, channels))
    background = batch.uniform(130, 320, channels) * np.exp(own.normal(0, 0.06, channels))
    density = float(np.exp(batch.normal(0, 0.06) + own.normal(0, 0.03)))
    shading = np.stack([_shading(batch, plan.size) for _ in range(channels)])
    return Acquisition(gain.astype(np.float32), background.astype(np.float32), shading, density)


def _shading(rng: np.random.Generator, size: int) -> np.ndarray:
    """Vignetting: brightest near the middle, 12 to 28 % darker in the corners; mean 1."""
    centre_y, centre_x = rng.normal(0, 0.10, 2)
    y, x = np.meshgrid(*[np.linspace(-1, 1, size)] * 2, indexing="ij", sparse=True)
    field = 1 - rng.uniform(0.06, 0.14) * ((y - centre_y) ** 2 + (x - centre_x) ** 2)
    return (field / field.mean()).astype(np.float32)


def position_gain(plan: SimulationPlan, row: int, column: int) -> float:
    """Stain strength by place on the plate: a mild slope over the columns, brighter at the rim."""
    rows, columns = plan.rows_and_columns
    at_rim = row in (1, rows) or column in (1, columns)
    return 1.0 + 0.05 * ((column - 1) / (columns - 1) - 0.5) + (0.04 if at_rim else 0.0)


def expose(
    rng: np.random.Generator,
    light: np.ndarray,
    assay: Assay,
    setting: Acquisition,
    well_gain: float,
    in_focus: bool,
) -> np.ndarray:
    """Image that the camera delivers; uint16, shape (channel, y, x). `light` is used up.

    Signal is blurred, given a haze of out-of-focus light, shaded, and takes shot noise (variance
    proportional to the counts) and Gaussian read noise.
    """
    from scipy.ndimage import gaussian_filter

    light *= (setting.gain * np.float32(well_gain))[:, None, None]
    haze = _haze(light)
    sigma = assay.blur if in_focus else assay.nucleus_radius * 0.45
    image = np.empty(light.shape, np.uint16)
    for c, plane in enumerate(light):
        signal = gaussian_filter(plane, sigma, truncate=3.0)
        signal += haze[c]
        signal += setting.background[c]
        signal *= setting.shading[c]
        noise = rng.standard_normal(signal.shape, dtype=np.float32)
        noise *= np.sqrt(signal * np.float32(_COUNTS_PER_ELECTRON) + np.float32(_READ_NOISE**2))
        signal += noise
        signal += np.float32(_OFFSET + 0.5)
        np.clip(signal, 0, 65535, out=signal)
        image[c] = signal
    return image


def _haze(light: np.ndarray) -> np.ndarray:
    """Light from above and below the focal plane: a weak, very blurred copy."""
    shrink, spread = _haze_operators(light.shape[1])
    return spread @ (shrink @ light @ shrink.T) @ spread.T


@lru_cache(maxsize=4)
def _haze_operators(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Matrices that average an axis into blocks, and that blur and interpolate it back.

    Small matrix products are some ten times faster here than a blur of the full image.
    """
    blocks = -(-size // _HAZE_STEP)
    edges = np.minimum(np.arange(blocks + 1) * _HAZE_STEP, size)
    centres = (edges[:-1] + edges[1:] - 1) / 2
    pixels = np.arange(size)
    shrink = (pixels >= edges[:-1, None]) & (pixels < edges[1:, None])
    shrink = shrink / shrink.sum(1, keepdims=True)
    weight = np.exp(-0.5 * ((pixels[:, None] - centres) / _HAZE_WIDTH) ** 2)
    spread = _HAZE_SHARE**0.5 * weight / weight.sum(1, keepdims=True)
    return shrink.astype(np.float32), spread.astype(np.float32)


def add_dirt(rng: np.random.Generator, light: np.ndarray, nucleus_radius: float) -> int:
    """Draw specks and fibres into some channels, in place; return how many pieces."""
    if rng.random() >= DIRT:
        return 0
    pieces = int(rng.integers(1, 4))
    size = light.shape[1]
    for _ in range(pieces):
        y, x = rng.uniform(0, size, 2)
        if rng.random() < 0.4:
            steps = int(rng.uniform(6, 22) * nucleus_radius)
            heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.05, steps))
            ys, xs = y + np.cumsum(np.sin(heading)), x + np.cumsum(np.cos(heading))
            ys, xs = np.concatenate([ys, ys + 0.8]), np.concatenate([xs, xs + 0.8])
        else:
            radius = rng.uniform(0.15, 0.7) * nucleus_radius
            disc = rng.normal(0, radius * 0.6, (int(30 + 4 * radius**2), 2))
            ys, xs = y + disc[:, 0], x + disc[:, 1]
        rows, columns = ys.astype(int), xs.astype(int)
        inside = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
        shown = rng.random(len(light)) < 0.6
        brightness = rng.uniform(3000, 14000)
        for channel in np.flatnonzero(shown):
            light[channel, rows[inside], columns[inside]] += np.float32(brightness)
    return pieces
