"""Join nuclei and separately found cell bodies under the nuclei's numbers."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from phenolake.segmentation.flooding import grow_seeds
from phenolake.segmentation.label_images import Labels, areas, largest_pieces

#: A nucleus without a body of its own gets a ring so wide, in nuclear diameters.
_RING = 0.2


def overlaps(first: Labels, second: Labels) -> sparse.coo_array:
    """Pixels shared by each pair of objects; row i, column j count label i of `first` in label j."""
    both = (first > 0) & (second > 0)
    rows, columns = int(first.max(initial=0)) + 1, int(second.max(initial=0)) + 1
    pairs, counts = np.unique(
        first[both].astype(np.int64) * columns + second[both], return_counts=True
    )
    return sparse.coo_array((counts, (pairs // columns, pairs % columns)), shape=(rows, columns))


def join_cells(nuclei: Labels, bodies: Labels, diameter: float) -> Labels:
    """Cells numbered by their nucleus, int32 (y, x); every nucleus lies inside its cell.

    A nucleus belongs to the body that holds most of it. Where a body holds several nuclei they
    share its area, each pixel going to the nearest one; bodies without a nucleus are dropped.
    """
    shared = overlaps(nuclei, bodies)
    row, column, count = shared.row, shared.col, shared.data
    home = np.zeros(int(nuclei.max(initial=0)) + 1, np.int32)
    for index in np.lexsort((-column, count, row)):
        home[row[index]] = column[index]
    held = 2 * np.bincount(row, weights=count, minlength=home.size) >= areas(nuclei)
    home[~held[: home.size]] = 0
    flat = np.zeros(nuclei.shape, np.float32)
    cells = grow_seeds(nuclei, flat, np.ones(nuclei.shape, bool), max(2.0, _RING * diameter))
    cells[(bodies > 0) | (home[cells] > 0)] = 0
    housed = np.where(home[nuclei] > 0, nuclei, 0).astype(np.int32)
    # Growing is confined body by body: steps from one body into another are not allowed.
    grown = grow_seeds(housed, flat, bodies > 0, float(sum(nuclei.shape)))
    inside = (bodies > 0) & (grown > 0) & (home[grown] == bodies)
    cells[inside] = grown[inside]
    return largest_pieces(np.where(nuclei > 0, nuclei, cells).astype(np.int32))
