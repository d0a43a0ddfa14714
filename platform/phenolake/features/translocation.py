"""Translocation: how much brighter the nucleus is than the cytoplasm around it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Field
from phenolake.features.naming import FeatureName

_NUCLEI, _CYTOPLASM = "Nuclei", "Cytoplasm"


def names(compartments: Collection[str], channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure`; none without both Nuclei and Cytoplasm."""
    if not {_NUCLEI, _CYTOPLASM} <= set(compartments):
        return []
    return [
        FeatureName("Cells", "Translocation", "NucleiCytoplasmRatio", (channel,))
        for channel in channels
    ]


def measure(field: Field) -> NDArray[np.float64]:
    """Mean intensity of the nucleus over that of the cytoplasm, float64 (numbers, channels).

    No background is subtracted: correct the illumination and offset of the image first.

    NaN: a cell without nucleus or cytoplasm, or with a cytoplasm of mean 0.
    """
    nucleus, cytoplasm = (_means(field, name) for name in (_NUCLEI, _CYTOPLASM))
    ratio = np.full(nucleus.shape, np.nan)
    np.divide(nucleus, cytoplasm, out=ratio, where=np.nan_to_num(cytoplasm) != 0)
    return ratio


def _means(field: Field, name: str) -> NDArray[np.float64]:
    """Mean intensities of a compartment at the field's object numbers, NaN where it has none."""
    compartment = field.compartments[name]
    out = np.full((field.numbers.size, len(field.image.channels)), np.nan)
    out[np.searchsorted(field.numbers, compartment.objects.numbers)] = compartment.means
    return out
