"""The feature families and the presets that choose among them, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phenolake.errors import UnknownNameError
from phenolake.features import (
    area_shape,
    correlation,
    costes,
    count,
    granularity,
    intensity,
    location,
    neighbors,
    radial_distribution,
    texture,
    zernike,
)
from phenolake.features.field import Compartment
from phenolake.features.naming import FeatureName


@dataclass(frozen=True)
class Family:
    """Columns that are measured together: their names, and their values per object."""

    names: Callable[[str, Sequence[str]], list[FeatureName]]
    measure: Callable[[Compartment], NDArray[np.float64]]


#: Compares masks, so it is no `Family`; its columns follow all others.
TRANSLOCATION = "Translocation"

#: In the order of the columns.
FAMILIES: dict[str, Family] = {
    "AreaShape": Family(area_shape.names, area_shape.measure),
    "Zernike": Family(zernike.shape_names, zernike.measure_shape),
    "Intensity": Family(intensity.names, intensity.measure),
    "Location": Family(location.names, location.measure),
    "Texture": Family(texture.names, texture.measure),
    "Correlation": Family(correlation.names, correlation.measure),
    "Costes": Family(costes.names, costes.measure),
    "RadialDistribution": Family(radial_distribution.names, radial_distribution.measure),
    "RadialZernike": Family(zernike.radial_names, zernike.measure_radial),
    "Granularity": Family(granularity.names, granularity.measure),
    "Neighbors": Family(neighbors.names, neighbors.measure),
    "Count": Family(count.names, count.measure),
}

_FAST = ("AreaShape", "Intensity", "Neighbors", TRANSLOCATION)
PRESETS: dict[str, tuple[str, ...]] = {
    "fast": _FAST,
    "standard": (*_FAST, "Zernike", "Location", "Texture", "Correlation", "RadialDistribution"),
    "full": (*FAMILIES, TRANSLOCATION),
}


def chosen_families(families: str | Iterable[str] | None) -> tuple[str, ...]:
    """Names of families in the order of the columns, from a preset, from names, or the standard.

    Raises
    ------
    UnknownNameError
        If a name is no family or preset.
    """
    known = (*FAMILIES, TRANSLOCATION)
    if families is None:
        families = "standard"
    if isinstance(families, str):
        if families not in PRESETS:
            raise UnknownNameError("feature preset", families, PRESETS)
        families = PRESETS[families]
    chosen = set(families)
    for name in chosen:
        if name not in known:
            raise UnknownNameError("feature family", name, known)
    return tuple(name for name in known if name in chosen)
