"""What is known of each segmented object: size, place, shape, parent, brightness, sharpness."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from phenolake.errors import MaskShapeError
from phenolake.segmentation.label_images import Labels
from phenolake.segmentation.pairing import parents_of

#: Compartment -> the one its objects lie in.
PARENTS = {"Nuclei": "Cells", "Cytoplasm": "Cells"}

SCHEMA = {
    "compartment": pl.String,
    "Metadata_ObjectNumber": pl.Int32,
    "part": pl.Int32,
    "parent_compartment": pl.String,
    "parent_number": pl.Int32,
    "nuclei_count": pl.Int32,
    "area": pl.Int32,
    "center_y": pl.Float32,
    "center_x": pl.Float32,
    "ellipse_fill": pl.Float32,
    "mean_intensity": pl.Float32,
    "edge_width_px": pl.Float32,
    "is_border": pl.Boolean,
}


def describe_objects(
    masks: Mapping[str, Labels], planes: Mapping[str, ArrayLike] | None = None
) -> pl.DataFrame:
    """One row per object of each compartment, with its parent and what flags are made from.

    A nucleus is a connected piece of the Nuclei mask: several pieces with one number are the
    nuclei of one cell, `part` 1, 2, ... in raster order. In other compartments a number is one
    object, whatever its pieces.

    Parameters
    ----------
    masks
        Compartment to label image, int32, shape (y, x), 0 = background.
    planes
        Compartment to the plane that shows it, any real dtype, shape (y, x); compartments without
        one have no `mean_intensity` and `edge_width_px`.

    Returns
    -------
    polars.DataFrame
        Columns of `SCHEMA`. `parent_number` is the cell that holds most of the object; null
        where there is none (an orphan, see `parents_of`) or no cells were looked for. `nuclei_count`, of cells
        only, counts the nuclei that name it as their parent. `ellipse_fill` is the area over that
        of the ellipse with the same second moments: 1 for any ellipse, less the more irregular.
        `edge_width_px` is the contrast to the surroundings over the mean slope at the edge:
        wider is blurrier.

    Raises
    ------
    MaskShapeError
        If masks and planes differ in shape.
    """
    shapes = {name: np.shape(each) for name, each in (*masks.items(), *(planes or {}).items())}
    for name, shape in shapes.items():
        if shape != next(iter(shapes.values())):
            raise MaskShapeError(name, next(iter(shapes.values())), shape)
    tables = []
    for compartment, labels in masks.items():
        plane = (planes or {}).get(compartment)
        holder = PARENTS.get(compartment)
        pieces, number, part = _pieces(labels, split=compartment == "Nuclei")
        table = _measured(pieces, number.size, plane)
        parent = None
        if holder is not None and holder in masks:
            found = parents_of(pieces, masks[holder])[1:]
            parent = pl.Series(found, dtype=pl.Int32).replace(0, None)
        tables.append(
            table.with_columns(
                pl.lit(compartment).alias("compartment"),
                pl.Series("Metadata_ObjectNumber", number),
                pl.Series("part", part),
                pl.lit(holder if holder in masks else None, pl.String).alias("parent_compartment"),
                (parent if parent is not None else pl.lit(None, pl.Int32)).alias("parent_number"),
                pl.lit(None, pl.Int32).alias("nuclei_count"),
            )
            .select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())
            .sort("Metadata_ObjectNumber", "part")
        )
    rows = pl.concat(tables) if tables else pl.DataFrame(schema=SCHEMA)
    return _with_nuclei_counts(rows) if {"Nuclei", "Cells"} <= set(masks) else rows


def _with_nuclei_counts(rows: pl.DataFrame) -> pl.DataFrame:
    held = (
        rows.filter((pl.col("compartment") == "Nuclei") & pl.col("parent_number").is_not_null())
        .group_by("parent_number")
        .agg(pl.len().cast(pl.Int32).alias("held"))
        .rename({"parent_number": "Metadata_ObjectNumber"})
    )
    counted = rows.join(held, on="Metadata_ObjectNumber", how="left", maintain_order="left")
    is_cell = pl.col("compartment") == "Cells"
    return counted.with_columns(
        pl.when(is_cell).then(pl.col("held").fill_null(0)).alias("nuclei_count")
    ).drop("held")


def _pieces(labels: Labels, *, split: bool) -> tuple[Labels, NDArray[np.int32], NDArray[np.int32]]:
    """Objects numbered 1..n, the label of each, and its place among the pieces of that label."""
    from skimage.measure import label

    if split:
        pieces = label(labels, connectivity=2).astype(np.int32)
        number = np.zeros(int(pieces.max(initial=0)) + 1, np.int64)
        number[pieces.ravel()] = labels.ravel()
        number = number[1:]
    else:
        number, dense = np.unique(labels, return_inverse=True)
        offset = 0 if number.size and number[0] == 0 else 1
        pieces = (dense.reshape(labels.shape) + offset).astype(np.int32)
        number = number[1 - offset :]
    order = np.lexsort((np.arange(number.size), number))
    first = np.searchsorted(number[order], number[order], side="left")
    part = np.empty(number.size, np.int32)
    part[order] = np.arange(number.size) - first + 1
    return pieces, number.astype(np.int32), part


def _measured(pieces: Labels, count: int, plane: ArrayLike | None) -> pl.DataFrame:
    y, x = np.nonzero(pieces)
    owner = pieces[y, x]
    area = np.bincount(owner, minlength=count + 1)[1:]

    def mean(values: NDArray) -> NDArray[np.float64]:
        return np.bincount(owner, values, count + 1)[1:] / np.maximum(area, 1)

    center_y, center_x = mean(y), mean(x)
    dy, dx = y - center_y[owner - 1], x - center_x[owner - 1]
    # A pixel is a square: its own second moment is 1/12.
    yy, xx, yx = mean(dy * dy) + 1 / 12, mean(dx * dx) + 1 / 12, mean(dy * dx)
    ellipse = 4 * np.pi * np.sqrt(np.maximum(yy * xx - yx * yx, 1e-12))
    rim = np.concatenate((pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]))
    border = np.zeros(count + 1, bool)
    border[rim] = True
    columns: dict[str, object] = {
        "area": area,
        "center_y": center_y,
        "center_x": center_x,
        "ellipse_fill": area / ellipse,
        "is_border": border[1:],
        "mean_intensity": None,
        "edge_width_px": None,
    }
    if plane is not None:
        image = np.nan_to_num(np.asarray(plane, np.float32), nan=0, posinf=0, neginf=0)
        columns["mean_intensity"] = mean(image[y, x])
        columns["edge_width_px"] = _edge_widths(pieces, image, count)
    return pl.DataFrame(columns)


def _edge_widths(pieces: Labels, image: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    """Contrast over slope at the edge, pixels, NaN where there is no contrast."""
    edge = _differs(pieces) & (pieces > 0)
    # Four to seven pixels off the edge: nearer, the blur of the object itself is measured.
    outside = ndimage.grey_dilation(pieces, 15)
    near = ndimage.grey_dilation(pieces, 7)
    ring = (pieces == 0) & (near == 0) & (outside > 0)
    slope = ndimage.gaussian_gradient_magnitude(image, 1.0)

    def mean(where: NDArray[np.bool_], labels: Labels, values: NDArray) -> NDArray[np.float64]:
        chosen = labels[where]
        total = np.bincount(chosen, values[where], count + 1)[1:]
        with np.errstate(invalid="ignore", divide="ignore"):
            return total / np.bincount(chosen, minlength=count + 1)[1:]

    contrast = mean(pieces > 0, pieces, image) - mean(ring, outside, image)
    with np.errstate(invalid="ignore", divide="ignore"):
        width = contrast / mean(edge, pieces, slope)
    return np.where(np.isfinite(width) & (width > 0), width, np.nan)


def _differs(labels: Labels) -> NDArray[np.bool_]:
    """Pixels with another label above, below, left or right of them."""
    edge = np.zeros(labels.shape, bool)
    down, across = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    return edge
