"""Whether a plate's cells are as near to the known classes as held-out cells of the training were."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

_BINS = 10
#: Population stability index above which a distribution is commonly held to have changed.
LIMIT = 0.25
#: Plates with fewer cells are not judged.
FEWEST = 100
_CHANCE = 0.001
_MODEL = ["model_name", "model_version"]
_GROUP = ["Metadata_Plate", *_MODEL]


def stability_index(counts: np.ndarray) -> np.ndarray:
    """Return the population stability index of cells against equal shares in all bins.

    Parameters
    ----------
    counts
        Cells in each bin, shape (n, bin).

    Notes
    -----
    The sum over bins of (p - q) ln(p / q). Half a cell is added to each bin, so that an empty one
    has a logarithm.
    """
    filled = np.asarray(counts, dtype=np.float64) + 0.5
    shares = filled / filled.sum(axis=1, keepdims=True)
    expected = 1 / filled.shape[1]
    return ((shares - expected) * np.log(shares / expected)).sum(axis=1)


def held_out_cells(params: Mapping[str, str]) -> int:
    """Return how many held-out cells the novelty of a model is a rank among.

    `params` are those of its MLflow run: cells of each fold, or of the validation part.
    """
    counts = {name: int(value) for name, value in params.items() if name.startswith("cells.")}
    return sum(counts.values()) - counts.get("cells.train", 0)


def novelty_drift(
    cells: pl.LazyFrame, reference_cells: Mapping[tuple[str, str], int]
) -> pl.DataFrame:
    """Return one row per plate and model: `cells`, `novel`, `psi`, `limit` and `drifted`.

    Parameters
    ----------
    cells
        Rows of `model_predictions`. Wells that trained the model are left out, since their cells
        lie nearer to the classes than others do.
    reference_cells
        By model name and version: held-out cells of the training that novelty is a rank among.

    Notes
    -----
    Novelty is a rank among those cells, so a plate like the training has it evenly spread over
    0..1, and `psi` compares ten bins with that. `limit` is 0.25, or what chance alone exceeds on one
    plate of a thousand where cells are few: PSI without drift is a chi-square variable times
    (1 / cells + 1 / reference cells). `novel` is the share of cells with a novelty of at least 0.99.
    `drifted` is null for plates of fewer than 100 cells.

    References
    ----------
    Yurdakul and Naranjo (2020), "Statistical properties of the population stability index".
    """
    from scipy.stats import chi2

    level = (pl.col("novelty") * _BINS).floor().clip(0, _BINS - 1).cast(pl.Int32)
    binned = (
        cells.filter(pl.col("split") != "train")
        .drop_nulls("novelty")
        .group_by(_GROUP)
        .agg(
            pl.len().alias("cells"),
            (pl.col("novelty") >= 0.99).mean().alias("novel"),
            *((level == number).sum().alias(f"bin_{number}") for number in range(_BINS)),
        )
        .sort(_GROUP)
        .collect(engine="streaming")
    )
    counts = binned.select(f"bin_{number}" for number in range(_BINS)).to_numpy()
    cells_in = binned["cells"].to_numpy()
    known = [reference_cells.get(model, 0) for model in binned.select(_MODEL).iter_rows()]
    noise = 1 / np.maximum(cells_in, 1) + 1 / np.maximum(known, 1)
    limit = np.maximum(LIMIT, chi2.isf(_CHANCE, _BINS - 1) * noise)
    return binned.select(*_GROUP, "cells", "novel").with_columns(
        pl.Series("psi", stability_index(counts)),
        pl.Series("limit", limit),
        drifted=pl.when(pl.col("cells") >= FEWEST).then(pl.Series(stability_index(counts) > limit)),
    )
