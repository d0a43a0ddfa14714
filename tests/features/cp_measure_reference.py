"""The same columns from cp_measure, under our names: the slow reference for tests and benchmarks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[np.float64]]


def reference_columns(
    image: NDArray[np.float64],
    channels: Sequence[str],
    masks: dict[str, NDArray[np.integer]],
    family: str,
) -> Columns:
    """Columns of one family for an image in 0..1 and masks labelled 1..n."""
    columns: Columns = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for compartment, mask in masks.items():
            columns |= {
                f"{compartment}_{name}": np.asarray(values, float)
                for name, values in _FAMILIES[family](image, channels, mask).items()
            }
    return columns


def _of_mask(measurement: str, rename: Callable[[str], str]) -> Callable[..., Columns]:
    def measure(image, channels, mask):
        from cp_measure.bulk import get_core_measurements

        found = get_core_measurements(legacy=True)[measurement](mask, image[0])
        return {rename(name): values for name, values in found.items()}

    return measure


def _of_channel(measurement: str, rename: Callable[[str, str], str]) -> Callable[..., Columns]:
    def measure(image, channels, mask):
        from cp_measure.bulk import get_core_measurements

        columns = {}
        for pixels, channel in zip(image, channels, strict=True):
            found = get_core_measurements(legacy=True)[measurement](mask, pixels)
            columns |= {rename(name, channel): values for name, values in found.items()}
        return columns

    return measure


def _texture_name(name: str, channel: str) -> str:
    measure, *parameters = name.split("_")
    return "_".join(("Texture", measure, channel, *parameters))


def _radial_name(name: str, channel: str) -> str:
    family, measure, *parameters = name.split("_")
    return "_".join((family, measure, channel, *parameters))


def _correlation(image, channels, mask):
    from cp_measure.bulk import get_correlation_measurements
    from cp_measure.core.measurecolocalization import get_correlation_overlap

    measurements = get_correlation_measurements()
    measurements.pop("costes")
    measurements["overlap"] = get_correlation_overlap
    return _of_pairs(measurements, image, channels, mask)


def _costes(image, channels, mask):
    from functools import partial

    from cp_measure.bulk import get_correlation_measurements

    # The grid on which the image lies, as for integers of its dtype.
    levels = 65535 if np.unique(image).size > 256 else 255
    measurement = partial(get_correlation_measurements()["costes"], scale_max=levels)
    return _of_pairs({"costes": measurement}, image, channels, mask)


def _of_pairs(measurements, image, channels, mask):
    columns = {}
    for (i, first), (j, second) in combinations(enumerate(channels), 2):
        for measurement in measurements.values():
            for name, values in measurement(image[i], image[j], mask).items():
                name = name.replace("Pearson", "Correlation")
                if name.endswith("_1"):
                    name = f"{name[:-2]}_{first}_{second}"
                elif name.endswith("_2"):
                    name = f"{name[:-2]}_{second}_{first}"
                else:
                    name = f"{name}_{first}_{second}"
                columns[name] = values
    return columns


def _neighbors(image, channels, mask):
    from cp_measure.bulk import get_multimask_measurements

    neighbors = get_multimask_measurements()["neighbors"]
    return neighbors(mask, mask, "Adjacent") | neighbors(
        mask, mask, "Within a specified distance", 5
    )


def _area_shape(image, channels, mask):
    return _of_mask("sizeshape", lambda name: f"AreaShape_{name}")(
        image, channels, mask
    ) | _of_mask("feret", lambda name: f"AreaShape_{name}")(image, channels, mask)


_FAMILIES: dict[str, Callable[..., Columns]] = {
    "AreaShape": _area_shape,
    "Moments": _of_mask("sizeshape", lambda name: f"AreaShape_{name}"),
    "Zernike": _of_mask("zernike", lambda name: f"AreaShape_{name}"),
    "Intensity": _of_channel("intensity", lambda name, channel: f"{name}_{channel}"),
    "Location": _of_channel("intensity", lambda name, channel: f"{name}_{channel}"),
    "Texture": _of_channel("texture", _texture_name),
    "Correlation": _correlation,
    "Costes": _costes,
    "RadialDistribution": _of_channel("radial_distribution", _radial_name),
    "RadialZernike": _of_channel("radial_zernikes", _radial_name),
    "Granularity": _of_channel("granularity", lambda name, channel: f"{name}_{channel}"),
    "Neighbors": _neighbors,
}
