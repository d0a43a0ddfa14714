"""What the profiling benchmark runs: each step by phenolake and by the peer that is known for it.

Peers are imported when a case runs, so that each library is measured without the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import profile_data as data

DMSO = pl.col("Metadata_Compound") == "DMSO"
QUERY = "Metadata_Compound == 'DMSO'"
WELL = ["Metadata_Plate", "Metadata_Well"]
SELECTION = ("variance", "correlation", "missing", "blocklist")
PEER_SELECTION = ["variance_threshold", "correlation_threshold", "drop_na_columns", "blocklist"]


@dataclass(frozen=True)
class Case:
    """One line of the table. Functions take the table of that file; the peer's gets pandas.

    `asked` is how many times faster than the peer the step should be. `compare` says which
    difference is printed: of the values, or of the features that are left.
    """

    name: str
    source: str
    asked: float | None
    ours: Callable[[pl.DataFrame], pl.DataFrame]
    theirs: Callable[[Any], Any]
    keys: tuple[str, ...] = ()
    compare: str = "values"


def sources(quick: bool) -> dict[str, Callable[[], pl.DataFrame]]:
    """Name of a file -> function that makes it. `--quick` makes about a tenth."""
    plates = 10 if quick else 50
    count = (40_000, 300) if quick else (200_000, 1000)

    def normalized() -> pl.DataFrame:
        from phenolake import profiling

        return profiling.normalize(
            data.profiles(plates, count[1]), "mad_robustize", reference=DMSO
        ).fill_nan(None)

    return {
        "cells": partial(data.cells, *count),
        "profiles": partial(data.profiles, plates, count[1]),
        "normalized": normalized,
        "mixture": partial(data.mixture, 4000 if quick else 20_000, 300, plates),
        "replicates": partial(data.replicates, plates, 300),
        "few replicates": partial(data.replicates, 5, 300),
    }


def cases() -> list[Case]:
    """All cases that have a peer."""
    return [
        Case("aggregate, median", "cells", 2, _aggregate, _peer_aggregate, tuple(WELL)),
        Case("robust MAD by plate", "profiles", 30, _robust, _peer_robust, tuple(WELL)),
        Case(
            "selection, 4 rules", "normalized", 2,
            partial(_select, operations=SELECTION),
            partial(_peer_select, operations=PEER_SELECTION),
            compare="features",
        ),
        Case(
            "correlation, with NaN columns", "normalized", 30,
            partial(_select, operations=("correlation",)),
            partial(_peer_select, operations=["correlation_threshold"]),
            compare="features",
        ),
        *(
            Case(f"sphering, {kind}", "mixture", 5, partial(_sphere, kind=kind),
                 partial(_peer_sphere, kind=kind))
            for kind in ("ZCA-cor", "ZCA")
        ),
        *(
            Case(f"harmony, {dimensions} dimensions", "mixture", 1,
                 partial(_harmony, dimensions=dimensions),
                 partial(_peer_harmony, dimensions=dimensions),
                 compare="movement")
            for dimensions in (300, 50, 20)
        ),
        Case("mAP, 1,920 wells", "few replicates", None, _precision, _peer_precision,
             ("Metadata_Compound",)),
        Case("mAP, 19,200 wells", "replicates", 5, _precision, _peer_precision,
             ("Metadata_Compound",)),
        Case("chain of 4 steps", "profiles", 10, _chain, _peer_chain, ("Metadata_Compound",)),
    ]  # fmt: skip


def _aggregate(frame: pl.DataFrame) -> pl.DataFrame:
    from phenolake import profiling

    return profiling.aggregate(frame, WELL)


def _peer_aggregate(frame: Any) -> Any:
    from pycytominer import aggregate

    return aggregate(frame, strata=WELL, features=_features(frame), operation="median")


def _robust(frame: pl.DataFrame) -> pl.DataFrame:
    from phenolake import profiling

    return profiling.normalize(frame, "mad_robustize", reference=DMSO)


def _peer_robust(frame: Any) -> Any:
    import pandas as pd
    from pycytominer import normalize

    return pd.concat(
        [
            normalize(
                plate,
                features=_features(frame),
                meta_features=[*WELL, "Metadata_Compound"],
                samples=QUERY,
                method="mad_robustize",
                mad_robustize_epsilon=0,
            )
            for _, plate in frame.groupby("Metadata_Plate", sort=True)
        ],
        ignore_index=True,
    )


def _select(frame: pl.DataFrame, operations: tuple[str, ...]) -> pl.DataFrame:
    from phenolake import profiling

    return profiling.select_features(frame, operations).profiles


def _peer_select(frame: Any, operations: list[str]) -> Any:
    from pycytominer import feature_select

    return feature_select(frame, features=_features(frame), operation=operations)


def _sphere(frame: pl.DataFrame, kind: str) -> pl.DataFrame:
    from phenolake import correction

    return correction.correct(
        frame,
        "sphering",
        reference=pl.col("Metadata_IsControl"),
        kind=kind,
        regularization=1e-9,
    )


def _peer_sphere(frame: Any, kind: str) -> Any:
    from pycytominer.operations.transform import Spherize

    values = frame[_features(frame)]
    sphering = Spherize(method=kind, epsilon=1e-6)
    sphering.fit(values[frame["Metadata_IsControl"]])
    return sphering.transform(values)


def _harmony(frame: pl.DataFrame, dimensions: int) -> pl.DataFrame:
    from phenolake import correction

    columns = [f"Cells_F{i}" for i in range(dimensions)]
    points = frame.select(columns).to_numpy().T
    batches = frame["Metadata_Batch"].cast(pl.Int64).to_numpy()
    fit = correction.harmonize(points, batches, correction.HarmonySettings(clusters=100))
    return pl.DataFrame(fit.corrected.T, schema=columns)


def _peer_harmony(frame: Any, dimensions: int) -> pl.DataFrame:
    import harmonypy

    columns = [f"Cells_F{i}" for i in range(dimensions)]
    values = frame[columns].to_numpy()
    done = harmonypy.run_harmony(
        values,
        frame,
        ["Metadata_Batch"],
        nclust=100,
        verbose=False,
        ncores=int(os.environ["OMP_NUM_THREADS"]),
    )
    corrected = np.asarray(done.Z_corr)
    return pl.DataFrame(corrected if corrected.shape == values.shape else corrected.T, columns)


def _precision(frame: pl.DataFrame) -> pl.DataFrame:
    from phenolake import evaluation

    return evaluation.mean_average_precision(
        frame, "Metadata_Compound", negatives="others", positives="all"
    ).table.select("Metadata_Compound", "mean_average_precision")


def _peer_precision(frame: Any) -> Any:
    from copairs.map import average_precision, mean_average_precision

    precision = average_precision(
        frame[[*WELL, "Metadata_Compound"]],
        frame[_features(frame)].to_numpy(),
        pos_sameby=["Metadata_Compound"],
        pos_diffby=[],
        neg_sameby=["Metadata_Plate"],
        neg_diffby=["Metadata_Compound"],
        batch_size=20_000,
        progress_bar=False,
    )
    found = mean_average_precision(
        precision, ["Metadata_Compound"], null_size=10_000, threshold=0.05, seed=0,
        progress_bar=False,
    )  # fmt: skip
    return found[["Metadata_Compound", "mean_average_precision"]]


def _chain(frame: pl.DataFrame) -> pl.DataFrame:
    from phenolake import correction, profiling

    selected = _select(_robust(frame), SELECTION)
    sphered = correction.correct(selected, "sphering", reference=DMSO, regularization=1e-9)
    return profiling.consensus(sphered, "Metadata_Compound", "median")


def _peer_chain(frame: Any) -> Any:
    from pycytominer import consensus, normalize

    normalized = _peer_robust(frame).replace([np.inf, -np.inf], np.nan)
    selected = _peer_select(normalized, PEER_SELECTION)
    sphered = normalize(
        selected,
        features=_features(selected),
        meta_features=[*WELL, "Metadata_Compound"],
        samples=QUERY,
        method="spherize",
        spherize_method="ZCA-cor",
    )
    return consensus(sphered, replicate_columns=["Metadata_Compound"], operation="median")


def _features(frame: Any) -> list[str]:
    return [name for name in frame.columns if name.startswith("Cells_")]


def aggregate_lake(folder: Path) -> pl.DataFrame:
    """Median profiles of a Delta table, read a plate at a time."""
    from phenolake import profiling

    return profiling.aggregate(pl.scan_delta(folder), WELL, one_at_a_time="Metadata_Plate")
