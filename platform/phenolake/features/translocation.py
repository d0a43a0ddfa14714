"""Translocation: how much brighter the nucleus is than the cytoplasm around it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Compartment, Field
from phenolake.features.naming import FeatureName

_NUCLEI, _CYTOPLASM = "Nuclei", "Cytoplasm"

#: The ring begins so many pixels off the nucleus, or for small nuclei this part of their diameter.
#: Whole pixels: a margin that varied by parts of one from field to field would move whole rows of
#: pixels in and out.
_GAP_PX, _GAP = 3, 1 / 5
#: Width of the ring of cytoplasm, in nuclear diameters.
_RING = 1 / 3


def names(compartments: Collection[str], channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure`; none without both Nuclei and Cytoplasm."""
    if not {_NUCLEI, _CYTOPLASM} <= set(compartments):
        return []
    return [
        FeatureName("Cells", "Translocation", ratio, (channel,))
        for ratio in ("NucleiCytoplasmRatio", "CoreRingRatio")
        for channel in channels
    ]


def measure(field: Field) -> NDArray[np.float64]:
    """Mean intensity of the nucleus over that of the cytoplasm, float64 (numbers, 2 x channels).

    `NucleiCytoplasmRatio` takes the two compartments as they are. `CoreRingRatio` takes the
    nucleus without its margin, and of the cytoplasm a ring around it, likewise without the margin:
    three pixels outside of the outline belong to neither (a fifth of the field's median nuclear
    diameter where that is less) and one pixel less inside, since a bright nucleus shines farther
    into a dark cytoplasm than it loses. The ring is a third of a diameter wide. Light that the
    optics spread over the outline, an outline drawn a pixel too wide and the end of a thin cell do
    not count in it.

    No background is subtracted: correct the illumination and offset of the image first.

    NaN: a cell without nucleus or cytoplasm, or with a cytoplasm of mean 0; `CoreRingRatio` also
    where neighbours or a tiny nucleus leave no core or no ring.
    """
    nuclei, cytoplasm = (field.compartments[name] for name in (_NUCLEI, _CYTOPLASM))
    if nuclei.objects.count == 0:
        return np.full((field.numbers.size, 2 * len(field.image.channels)), np.nan)
    diameter = float(np.median(np.sqrt(4 / np.pi * nuclei.objects.areas)))
    depth, away = nuclei.objects.distances[1], _distance_from(nuclei, cytoplasm)
    gap = np.clip(np.rint(_GAP * diameter), 1, _GAP_PX)
    end = gap + max(2, np.rint(_RING * diameter))
    core = _means_where(nuclei, depth > gap - 1)
    ring = _means_where(cytoplasm, (away > gap) & (away <= end))
    return np.column_stack(
        [
            _ratio(field, (nuclei, nuclei.means), (cytoplasm, cytoplasm.means)),
            _ratio(field, (nuclei, core), (cytoplasm, ring)),
        ]
    )


def _ratio(
    field: Field,
    above: tuple[Compartment, NDArray[np.float64]],
    below: tuple[Compartment, NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Ratio of two compartments' values, joined by the objects' numbers."""
    upper, lower = (_of_numbers(field, *each) for each in (above, below))
    ratio = np.full(upper.shape, np.nan)
    np.divide(upper, lower, out=ratio, where=np.nan_to_num(lower) != 0)
    return ratio


def _of_numbers(
    field: Field, compartment: Compartment, values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A compartment's values at the field's object numbers, NaN where it has none."""
    out = np.full((field.numbers.size, values.shape[1]), np.nan)
    out[np.searchsorted(field.numbers, compartment.objects.numbers)] = values
    return out


def _distance_from(nuclei: Compartment, other: Compartment) -> NDArray[np.float64]:
    """Distance of each listed pixel of another compartment to the nearest nucleus, pixels."""
    from phenolake.features.kernels.distances import distance_to_edge

    outside = (nuclei.objects.labels == 0).astype(np.int32)
    return distance_to_edge(outside, other.objects.rows, other.objects.cols)[1]


def _means_where(compartment: Compartment, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean intensity over the kept pixels of each object, (objects, channels); NaN without any."""
    from phenolake.features.kernels.intensity import means

    out = np.full((compartment.objects.count, len(compartment.image.channels)), np.nan)
    pixel = object_ = 0
    for piece in compartment.pieces:
        size, count = piece.objects.rows.size, piece.objects.count
        here = kept[pixel : pixel + size]
        starts = np.concatenate([[0], np.cumsum(here)])[piece.objects.starts]
        some = np.flatnonzero(np.diff(starts))
        values = np.ascontiguousarray(piece.values[:, here])
        out[object_ + some] = means(values, np.append(starts[some], here.sum()))
        piece.forget_intensities()
        pixel, object_ = pixel + size, object_ + count
    return out
