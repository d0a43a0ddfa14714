"""Random crops of examples for training: turned, scaled and re-exposed, with targets to match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from phenolake.segmentation.compact_network import UNIT_DIAMETER
from phenolake.segmentation.compact_scale import resized, scale_for
from phenolake.segmentation.flow_targets import flows_from_labels
from phenolake.segmentation.label_images import Labels, areas
from phenolake.segmentation.learning.examples import Example

#: Objects of a crop have a typical diameter drawn from this range, pixels, evenly on the logarithm.
DIAMETERS = (8.0, 60.0)
#: No image is shrunk or grown by more than this.
_SCALES = (0.25, 3.0)


@dataclass(frozen=True)
class Crop:
    """Input and targets of one training crop.

    `brightness` is float32 (y, x). `targets` is float32 (4, y, x): flow y, flow x, 1 inside
    objects, and log2 of the object's diameter over `UNIT_DIAMETER` (0 in the background).
    """

    brightness: NDArray[np.float32]
    targets: NDArray[np.float32]


def draw_crop(
    example: Example, size: int, rng: np.random.Generator, as_recorded: float = 0.0
) -> Crop:
    """Return a random crop of `size` x `size` pixels, changed as other microscopes would.

    A share `as_recorded` keeps its pixels but for quarter turns, mirrors and a little gain: from
    these the network learns where exactly people draw an outline, which interpolation blurs.
    """
    if rng.random() < as_recorded:
        brightness, labels = _as_recorded(example, size, rng)
        return Crop(brightness * np.float32(np.exp(rng.normal(0, 0.1))), targets_of(labels))
    brightness, labels = _turned_and_scaled(example, size, rng)
    return Crop(re_expose(brightness, rng), targets_of(labels))


def targets_of(labels: Labels) -> NDArray[np.float32]:
    """Return what the network should predict for a label image; see `Crop`."""
    size = areas(labels).astype(np.float32)
    size[0] = np.pi / 4 * UNIT_DIAMETER**2
    log_diameter = 0.5 * np.log2(np.maximum(size, 1) * (4 / np.pi)) - np.log2(UNIT_DIAMETER)
    inside = (labels > 0).astype(np.float32)
    return np.concatenate(
        (flows_from_labels(labels), inside[None], log_diameter.astype(np.float32)[labels][None])
    )


def re_expose(brightness: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Change gain, contrast, background, shading, sharpness and noise of normalized brightness."""
    image = brightness
    if rng.random() < 0.3:
        image = ndimage.gaussian_filter(image, rng.uniform(0.3, 1.8), truncate=3.0)
    if rng.random() < 0.5:
        gamma = np.exp(rng.normal(0, 0.25))
        image = np.sign(image) * np.abs(image) ** np.float32(gamma)
    if rng.random() < 0.3:
        image = image * _shading(image.shape, rng)
    image = image * np.float32(np.exp(rng.normal(0, 0.35)))
    if rng.random() < 0.3:
        image = image + np.float32(rng.uniform(0, 0.25)) * _shading(image.shape, rng)
    if rng.random() < 0.5:
        noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.gamma(1.0, 0.03))
        if rng.random() < 0.5:
            noise *= np.sqrt(np.maximum(image, 0.02))
        image = image + noise
    if rng.random() < 0.15:
        image = _with_debris(image, rng)
    return np.ascontiguousarray(image, np.float32)


def draw_batch(
    examples: Sequence[Example],
    weights: NDArray[np.float64],
    size: int,
    count: int,
    rng: np.random.Generator,
    as_recorded: float = 0.0,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return inputs (count, 1, size, size) and targets (count, 4, size, size), both float32."""
    chosen = rng.choice(len(examples), size=count, p=weights)
    crops = [draw_crop(examples[index], size, rng, as_recorded) for index in chosen]
    return (
        np.stack([crop.brightness[None] for crop in crops]),
        np.stack([crop.targets for crop in crops]),
    )


def _as_recorded(
    example: Example, size: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], Labels]:
    # Small nuclei are grown as prediction grows them.
    scale = scale_for(example.diameter) if example.diameter else 1.0
    seen = int(np.ceil(size / scale))
    corner = [int(rng.integers(0, max(1, n - seen + 1))) for n in example.labels.shape]
    window = np.s_[corner[0] : corner[0] + seen, corner[1] : corner[1] + seen]
    planes = []
    turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
    brightness = resized(example.brightness[window], scale)
    rows, columns = (
        np.minimum(((np.arange(n) + 0.5) / scale).astype(int), m - 1)
        for n, m in zip(brightness.shape, example.labels[window].shape, strict=True)
    )
    for plane in (brightness, example.labels[window][rows[:, None], columns]):
        plane = plane[:size, :size]
        lacking = [(0, size - length) for length in plane.shape]
        turned = np.rot90(np.pad(plane, lacking, mode="symmetric"), turns)
        planes.append(np.ascontiguousarray(turned[:, ::-1] if mirror else turned))
    return planes[0], _apart(planes[1])


def _turned_and_scaled(
    example: Example, size: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], Labels]:
    wanted = np.exp(rng.uniform(*np.log(DIAMETERS)))
    scale = np.clip(wanted / (example.diameter or wanted), *_SCALES)
    angle = rng.uniform(0, 2 * np.pi)
    stretch = np.exp(rng.normal(0, 0.08))
    mirror = rng.choice((-1.0, 1.0))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    # From output pixels to input pixels.
    matrix = turn @ np.diag([stretch, mirror / stretch]) / scale
    height, width = example.brightness.shape
    centre = np.array([_middle(height, size / scale, rng), _middle(width, size / scale, rng)])
    image = example.brightness
    if scale < 0.8:
        # Only the part that the crop shows is smoothed, against aliasing.
        reach = int(np.ceil(0.75 * size / scale)) + 8
        top, left = (max(0, int(value) - reach) for value in centre)
        window = np.s_[top : int(centre[0]) + reach, left : int(centre[1]) + reach]
        image = ndimage.gaussian_filter(image[window], 0.45 / scale, truncate=3.0)
        labels = example.labels[window]
        centre = centre - (top, left)
    else:
        labels = example.labels
    offset = centre - matrix @ np.array([(size - 1) / 2, (size - 1) / 2])
    shape = (size, size)
    brightness = ndimage.affine_transform(
        image, matrix, offset, shape, np.float32, order=1, mode="mirror"
    )
    turned = ndimage.affine_transform(
        labels, matrix, offset, shape, np.int32, order=0, mode="mirror"
    )
    return brightness, _apart(turned)


def _apart(labels: Labels) -> Labels:
    """Give pieces that lie apart numbers of their own: the mirror repeats objects at the border."""
    from skimage.measure import label

    return label(labels, connectivity=2).astype(np.int32)


def _middle(length: int, window: float, rng: np.random.Generator) -> float:
    half = min(window, length) / 2
    return float(rng.uniform(half, length - half)) if length > 2 * half else length / 2


def _shading(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a smooth field with mean near 1, as uneven illumination gives."""
    y, x = (np.linspace(-1, 1, length, dtype=np.float32) for length in shape)
    a, b, c = rng.normal(0, 0.3, 3).astype(np.float32)
    return np.exp(a * y[:, None] + b * x[None] + c * (y[:, None] ** 2 + x[None] ** 2 - 0.6))


def _with_debris(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Add a few blurred bright specks that are no nuclei."""
    image = image.copy()
    for _ in range(rng.integers(1, 6)):
        radius = int(rng.integers(1, 4))
        y, x = (int(rng.integers(0, length - 2 * radius)) for length in image.shape)
        speck = np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1]) / radius
        patch = np.exp(-2 * speck**2).astype(np.float32) * np.float32(rng.uniform(2, 15))
        window = image[y : y + 2 * radius + 1, x : x + 2 * radius + 1]
        window += patch[: window.shape[0], : window.shape[1]]
    return image
