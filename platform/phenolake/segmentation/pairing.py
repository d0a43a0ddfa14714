"""Join nuclei and separately found cell bodies under one number, by how much they overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
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


def parents_of(children: Labels, parents: Labels) -> NDArray[np.int32]:
    """The parent that holds most of each child; 0 for orphans, less than half of which is in any.

    int32, indexed by the child's label. Of parents that hold as much, the one with the lower
    number is taken.
    """
    shared = overlaps(children, parents)
    row, column, count = shared.row, shared.col, shared.data
    home = np.zeros(int(children.max(initial=0)) + 1, np.int32)
    # Written in order, the last pair of each child stays: the largest, then the lowest number.
    order = np.lexsort((-column, count, row))
    home[row[order]] = column[order]
    held = np.bincount(row, weights=count, minlength=home.size)
    home[2 * held < areas(children)] = 0
    return home


@dataclass(frozen=True)
class JoinedCompartments:
    """Compartments under one number, and what found no partner.

    Attributes
    ----------
    masks
        `Nuclei`, `Cells`, `Cytoplasm`, int32 (y, x). Nuclei of one cell share its number.
    nuclei_without_cell, cells_without_nucleus
        Numbers in `masks` of orphans; they stay, each in its own compartment.
    cells_with_nuclei
        Numbers of cells with more than one nucleus.
    """

    masks: dict[str, Labels]
    nuclei_without_cell: tuple[int, ...]
    cells_without_nucleus: tuple[int, ...]
    cells_with_nuclei: tuple[int, ...]


def join_compartments(nuclei: Labels, cells: Labels) -> JoinedCompartments:
    """Number nuclei and cells that were found apart alike; nothing is added or dropped.

    A nucleus belongs to the cell that `parents_of` names. Cells with
    nuclei come first, 1..n in raster order, then nuclei without a cell, then cells without a
    nucleus. Where several nuclei of one cell touch, one pixel between them becomes cytoplasm, so
    that each stays a piece of its own.
    """
    home = parents_of(nuclei, cells)
    orphans = np.flatnonzero((areas(nuclei) > 0) & (home == 0))
    orphans = orphans[orphans > 0]
    # Nuclei without a cell get names above the cells', so that one lookup numbers both.
    names = home.astype(np.int64)
    names[orphans] = int(cells.max(initial=0)) + np.arange(1, orphans.size + 1)
    named = names[nuclei]
    housed = np.unique(home[home > 0])
    order = np.concatenate(
        (
            _in_raster_order(np.where(np.isin(cells, housed), cells, 0)),
            names[orphans],
            _in_raster_order(np.where(np.isin(cells, housed), 0, cells)),
        )
    ).astype(np.int64)
    lookup = np.zeros(int(order.max(initial=0)) + 1, np.int32)
    lookup[order] = np.arange(1, order.size + 1)
    twins = np.flatnonzero(np.bincount(home, minlength=1) > 1)
    twins = twins[twins > 0]
    joined = np.where(_seam(nuclei, named), 0, lookup[named]).astype(np.int32)
    whole = lookup[cells].astype(np.int32)
    return JoinedCompartments(
        {"Nuclei": joined, "Cells": whole, "Cytoplasm": np.where(joined > 0, 0, whole)},
        tuple(lookup[names[orphans]].tolist()),
        tuple(range(housed.size + orphans.size + 1, order.size + 1)),
        tuple(sorted(lookup[twins].tolist())),
    )


def _in_raster_order(labels: NDArray) -> NDArray:
    names, first = np.unique(labels, return_index=True)
    order = names[np.argsort(first, kind="stable")]
    return order[order > 0]


def _seam(nuclei: Labels, named: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Pixels of a nucleus that touch a nucleus of the same name and a lower number."""
    seam = np.zeros(nuclei.shape, bool)
    padded, names = np.pad(nuclei, 1), np.pad(named, 1)
    rows, columns = nuclei.shape
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            other = padded[dy : dy + rows, dx : dx + columns]
            same = names[dy : dy + rows, dx : dx + columns] == named
            seam |= same & (other > 0) & (nuclei > other)
    return seam


def join_cells(nuclei: Labels, bodies: Labels, diameter: float) -> Labels:
    """Cells numbered by their nucleus, int32 (y, x); every nucleus lies inside its cell.

    A nucleus belongs to the body that holds most of it. Where a body holds several nuclei they
    share its area, each pixel going to the nearest one; bodies without a nucleus are dropped.
    """
    home = parents_of(nuclei, bodies)
    flat = np.zeros(nuclei.shape, np.float32)
    cells = grow_seeds(nuclei, flat, np.ones(nuclei.shape, bool), max(2.0, _RING * diameter))
    cells[(bodies > 0) | (home[cells] > 0)] = 0
    housed = np.where(home[nuclei] > 0, nuclei, 0).astype(np.int32)
    # Growing is confined body by body: steps from one body into another are not allowed.
    grown = grow_seeds(housed, flat, bodies > 0, float(sum(nuclei.shape)))
    inside = (bodies > 0) & (grown > 0) & (home[grown] == bodies)
    cells[inside] = grown[inside]
    return largest_pieces(np.where(nuclei > 0, nuclei, cells).astype(np.int32))
