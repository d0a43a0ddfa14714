"""Random plates through pycytominer, the same step by step here. Skipped where it is absent."""

import numpy as np
import polars as pl
import pytest

from phenolake import correction, profiling

pytest.importorskip("pycytominer")

FEATURES = [f"Cells_F{i}" for i in range(12)]
DMSO, QUERY = pl.col("Metadata_Treatment") == "DMSO", "Metadata_Treatment == 'DMSO'"


@pytest.fixture(scope="module")
def wells():
    """Two plates of 60 wells, 20 of them controls; four features nearly repeat others."""
    rng = np.random.default_rng(4)
    values = rng.lognormal(size=(120, 12))
    values[:, 8:] = values[:, :4] + 0.1 * rng.normal(size=(120, 4))
    return pl.DataFrame(
        {
            "Metadata_Plate": np.repeat(["A", "B"], 60),
            "Metadata_Well": [f"w{i:02d}" for i in range(60)] * 2,
            "Metadata_Treatment": (["DMSO"] * 20 + [f"c{i % 8}" for i in range(40)]) * 2,
        }
        | {name: values[:, i] for i, name in enumerate(FEATURES)}
    )


def assert_same(ours, theirs, keys=("Metadata_Plate", "Metadata_Well"), **tolerance):
    theirs = pl.from_pandas(theirs).sort(keys)
    ours = ours.sort(keys)
    assert ours.select(keys).equals(theirs.select(keys))
    features = profiling.feature_columns(theirs)
    np.testing.assert_allclose(
        ours.select(features).to_numpy(), theirs.select(features).to_numpy(), **tolerance
    )


@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_aggregated_profiles(statistic):
    from pycytominer import aggregate

    rng = np.random.default_rng(5)
    cells = pl.DataFrame(
        {"Metadata_Plate": ["A"] * 500, "Metadata_Well": [f"w{w}" for w in rng.integers(0, 9, 500)]}
        | {name: rng.normal(size=500) for name in FEATURES}
    )
    strata = ["Metadata_Plate", "Metadata_Well"]
    theirs = aggregate(cells.to_pandas(), strata=strata, features=FEATURES, operation=statistic)
    assert_same(profiling.aggregate(cells, strata, statistic), theirs, rtol=1e-12)


@pytest.mark.parametrize("method", ["standardize", "mad_robustize"])
def test_normalized_plates(wells, method):
    import pandas as pd
    from pycytominer import normalize

    plates = [
        normalize(plate, FEATURES, samples=QUERY, method=method, mad_robustize_epsilon=0)
        for _, plate in wells.to_pandas().groupby("Metadata_Plate")
    ]
    ours = profiling.normalize(wells, method, reference=DMSO)
    assert_same(ours, pd.concat(plates), rtol=1e-9, atol=1e-12)


def test_selected_features(wells):
    from pycytominer import feature_select

    wells = wells.with_columns(
        pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise("Cells_F1").alias("Cells_F1"),
        pl.lit(1.0).alias("Cells_F6"),
        (pl.col("Cells_F5") * 400).alias("Cells_F5"),
    )
    operations = {
        "frequency_threshold": None, "variance_threshold": "variance",
        "correlation_threshold": "correlation", "drop_na_columns": "missing",
        "drop_outliers": "outliers",
    }  # fmt: skip
    theirs = feature_select(wells.to_pandas(), FEATURES, operation=list(operations))
    ours = profiling.select_features(wells, [name for name in operations.values() if name])
    kept = profiling.feature_columns(ours.profiles)
    assert kept == [name for name in theirs.columns if name in FEATURES]
    assert {*ours.dropped["operation"]} == {"variance", "correlation", "outliers"}


def test_consensus_by_modz(wells):
    from pycytominer import consensus

    keys = ["Metadata_Treatment"]
    theirs = consensus(
        wells.to_pandas(), replicate_columns=keys, operation="modz", features=FEATURES
    )
    assert_same(profiling.consensus(wells, keys, "modz"), theirs, keys, rtol=1e-9)


@pytest.mark.parametrize("kind", ["ZCA", "ZCA-cor"])
def test_sphered_wells(wells, kind):
    from pycytominer import normalize

    theirs = normalize(
        wells.to_pandas(), FEATURES, samples=QUERY, method="spherize", spherize_method=kind,
        spherize_epsilon=0,
    )  # fmt: skip
    ours = correction.correct(wells, "sphering", reference=DMSO, kind=kind, regularization=1e-12)
    # Variance among 40 controls is a sum over 40 here, over 39 there.
    to_theirs = pl.col(FEATURES) * np.sqrt(39 / 40)
    assert_same(ours.with_columns(to_theirs), theirs, rtol=1e-6, atol=1e-7)
