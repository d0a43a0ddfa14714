"""Relations: which object of another compartment belongs to each object.

Names as CellProfiler 4 (RelateObjects, IdentifySecondaryObjects, IdentifyTertiaryObjects).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from phenolake.features.field import Field
from phenolake.features.naming import FeatureName

#: Parent and child.
_PAIRS = (("Nuclei", "Cells"), ("Nuclei", "Cytoplasm"), ("Cells", "Cytoplasm"))


def names(compartments: Collection[str], channels: Sequence[str]) -> list[FeatureName]:
    """Names of the columns of `measure`: numbers of children, then parents; none without a pair."""
    pairs = _present(compartments)
    return [
        *(FeatureName(parent, "Children", f"{child}_Count") for parent, child in pairs),
        *(FeatureName(child, "Parent", parent) for parent, child in pairs),
    ]


def measure(field: Field) -> NDArray[np.float64]:
    """Children of each parent and the parent's number of each child, (numbers, pairs * 2).

    Objects of one cell have the same number in all masks, so a parent has one child or none. The
    parent's number is 0 for a child without one, as in CellProfiler. NaN: no such object.
    """
    numbers = field.numbers
    has = {
        name: np.isin(numbers, part.objects.numbers) for name, part in field.compartments.items()
    }
    pairs = _present(field.compartments)
    children = [np.where(has[parent], has[child], np.nan) for parent, child in pairs]
    parents = [
        np.where(has[child], np.where(has[parent], numbers, 0), np.nan) for parent, child in pairs
    ]
    return np.column_stack([*children, *parents]).astype(np.float64)


def _present(compartments: Collection[str]) -> list[tuple[str, str]]:
    return [pair for pair in _PAIRS if set(pair) <= set(compartments)]
