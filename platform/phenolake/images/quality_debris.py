"""Debris in one site: places too bright, in two channels at once, for the cells of the plate."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

#: Sharp contrast: difference of two Gaussians with these standard deviations, pixels.
_FINE, _WIDE = 1.0, 3.0
#: Blocks along the longer edge for patches, and their smoothing in blocks.
_BLOCKS, _SMOOTH = 32, 1.0
#: A piece starts where the evidence is over twice what the plate's cells show, and goes on ...
_START, _GROW = 2.0, 1.0
#: ... with at least so many pixels over the start.
_LEAST_PIXELS = 9
_PATCH_GROW, _LEAST_BLOCKS = 1.5, 12
#: With one channel there is no second witness.
_START_ALONE = 3.0
#: A field's own contrast may exceed the plate's so many times before it counts as debris.
_OWN_MOST = 3.0
#: Ratio of common contrast to the plate's that means another exposure.
_EXPOSURE = 2.0


@dataclass(frozen=True)
class CellAppearance:
    """What the cells of a plate show in each channel.

    Attributes
    ----------
    contrast
        Sharp contrast that a hundredth of a typical field exceeds; shape (channel,).
    common
        The same for a tenth of it, which no debris reaches: to compare exposures by.
    slopes
        `slopes[a, b]`: contrast in b that goes with a unit of it in a, both over `contrast`.
    low, high
        Brightness below which a twentieth of blocks lies, and above which a hundredth; (channel,).
    """

    contrast: np.ndarray
    common: np.ndarray
    slopes: np.ndarray
    low: np.ndarray
    high: np.ndarray


def debris_fractions(image: np.ndarray, cells: CellAppearance) -> np.ndarray:
    """Share of the field in debris that shows in each channel; float64, shape (channel,).

    Small debris (specks, fibres) has sharp contrast in two channels at the same place, more in
    each than the other's stain explains: the pair's evidence is the lesser of the two rests. Stains
    of the same structure explain each other, so that bright rounded cells are not debris. Large
    debris (bubbles of stain, dust out of focus) is a smooth patch over twice as bright, in two
    channels, as the brightest hundredth of the plate's typical field. With one channel only patches
    over three times as bright count. A field that is brighter or has more background as a whole is
    compared with its own level: that is not debris.

    Parameters
    ----------
    image
        Shape (channel, y, x), float.
    cells
        What to expect, learned from fields of the plate.
    """
    fractions = np.zeros(len(image))
    contrast = sharp_contrast(image)
    common, own = np.percentile(contrast, (90, 99), axis=(1, 2))
    gain = common / cells.common
    # Fields differ in their cells by less than this; beyond it, in their exposure.
    gain[gain < _EXPOSURE] = 1.0
    # A field with more contrast than the plate's, a phenotype, is held to its own.
    most = np.maximum(gain, _OWN_MOST) * cells.contrast
    small = _small_pieces(contrast / np.clip(own, cells.contrast, most)[:, None, None], cells)
    patches = _patches(image, cells, gain)
    for channel in range(len(image)):
        shown = np.zeros(image.shape[1:], bool) if small is None else small[channel].copy()
        if patches is not None:
            blocks, step = patches
            large = np.kron(blocks[channel], np.ones((step, step), bool))
            shown[: large.shape[0], : large.shape[1]] |= large
        fractions[channel] = shown.mean()
    return fractions


def sharp_contrast(image: np.ndarray) -> np.ndarray:
    """Difference of a fine and a wide Gaussian of each channel; float32, shape (channel, y, x)."""
    from scipy.ndimage import gaussian_filter

    return np.stack(
        [
            gaussian_filter(p, _FINE, output=np.float32)
            - gaussian_filter(p, _WIDE, output=np.float32)
            for p in image
        ]
    )


def block_brightness(image: np.ndarray) -> np.ndarray:
    """Smoothed block means of each channel; float64, shape (channel, rows, columns)."""
    from scipy.ndimage import gaussian_filter

    step = block_step(image.shape[1:])
    rows, columns = (edge // step for edge in image.shape[1:])
    blocks = image[:, : rows * step, : columns * step].reshape(
        len(image), rows, step, columns, step
    )
    means = blocks.mean(axis=(2, 4), dtype=np.float64)
    return gaussian_filter(means, (0, _SMOOTH, _SMOOTH), mode="nearest")


def block_step(shape: tuple[int, ...]) -> int:
    """Edge of a block, pixels."""
    return min(-(-max(shape) // _BLOCKS), min(shape))


def _small_pieces(contrast: np.ndarray, cells: CellAppearance) -> np.ndarray | None:
    """Where pieces show, per channel, given contrast over the cells'; None if there are none."""
    if len(contrast) < 2:
        return None
    evidence = np.zeros(contrast.shape[1:], np.float32)
    for a, b in combinations(range(len(contrast)), 2):
        rest_of_b = contrast[b] - np.float32(cells.slopes[a, b]) * contrast[a]
        rest_of_a = contrast[a] - np.float32(cells.slopes[b, a]) * contrast[b]
        np.maximum(evidence, np.minimum(rest_of_a, rest_of_b), out=evidence)
    pieces = _pieces(evidence, _START, _GROW, _LEAST_PIXELS)
    return None if pieces is None else pieces & (contrast > _GROW)


def _patches(
    image: np.ndarray, cells: CellAppearance, gain: np.ndarray
) -> tuple[np.ndarray, int] | None:
    """Blocks of patches, per channel, and their edge; None if there are none."""
    step = block_step(image.shape[1:])
    if min(image.shape[1:]) < 4 * step:
        return None
    blocks = block_brightness(image)
    low = np.maximum(cells.low, np.percentile(blocks, 5, axis=(1, 2)))
    level = (blocks - low[:, None, None]) / (gain * (cells.high - cells.low))[:, None, None]
    alone = len(image) < 2
    witness = level[0] if alone else np.sort(level, axis=0)[-2]
    start = _START_ALONE if alone else _START
    pieces = _pieces(witness, start, _PATCH_GROW, _LEAST_BLOCKS)
    return None if pieces is None else (pieces & (level > _PATCH_GROW), step)


def _pieces(evidence: np.ndarray, start: float, grow: float, least: int) -> np.ndarray | None:
    """Connected places over `grow` that hold at least `least` places over `start`."""
    from scipy.ndimage import label

    seeds = evidence > start
    if np.count_nonzero(seeds) < least:
        return None
    labels, count = label(evidence > grow, np.ones((3, 3), int))
    kept = np.bincount(labels[seeds], minlength=count + 1) >= least
    kept[0] = False
    return np.asarray(kept[labels]) if kept.any() else None
