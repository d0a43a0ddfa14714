"""Reductions, noise by replicate agreement, and heterogeneity profiles."""

import numpy as np
import polars as pl
import pytest

from phenolake import profiling
from phenolake.errors import ConfigurationError
from phenolake.profiling.replicate_agreement import replicate_share


@pytest.fixture
def wells():
    """Twelve treatments of four wells; `signal*` follow the treatment, `noise*` do not."""
    rng = np.random.default_rng(0)
    treatment = np.repeat(np.arange(12), 4)
    columns = {"Metadata_Perturbation": [f"c{t}" for t in treatment]}
    for number in range(3):
        columns[f"signal{number}"] = 5 * rng.normal(size=12)[treatment] + rng.normal(size=48)
    columns["twin"] = np.asarray(columns["signal0"]) + 0.01 * rng.normal(size=48)
    for number in range(3):
        columns[f"noise{number}"] = rng.normal(size=48)
    return pl.DataFrame(columns)


def test_noise_is_dropped_by_replicate_agreement(wells):
    selection = profiling.select_features(wells, ("noise",), min_agreement=0.5)
    assert selection.dropped["feature"].to_list() == ["noise0", "noise1", "noise2"]
    assert selection.dropped["reason"].unique().to_list() == ["replicates disagree"]


def test_replicate_share_is_the_intraclass_correlation(wells):
    values = wells["signal0"].to_numpy().reshape(12, 4)
    between = 4 * values.mean(axis=1).var(ddof=1)
    within = values.var(axis=1, ddof=1).mean()
    expected = (between - within) / (between + 3 * within)
    share = replicate_share(wells, wells["signal0"].to_numpy()[None], "Metadata_Perturbation")
    assert share[0] == pytest.approx(expected)


def test_agreement_needs_replicates(wells):
    with pytest.raises(ConfigurationError, match="Metadata_Perturbation"):
        profiling.select_features(wells[:1], ("noise",))


def test_mrmr_takes_signal_without_its_twin(wells):
    reduction = profiling.reduce_features(wells, "mrmr", 3)
    kept = set(profiling.feature_columns(reduction.profiles))
    assert kept - {"twin", "signal0"} == {"signal1", "signal2"}
    assert len(kept) == 3
    assert reduction.loadings["rank"].drop_nulls().sort().to_list() == [1, 2, 3]


def test_pca_keeps_distances(wells):
    points = (
        profiling.reduce_features(wells, "pca", 7).profiles.drop("Metadata_Perturbation").to_numpy()
    )
    values = wells.drop("Metadata_Perturbation").to_numpy()

    def distances(of):
        return np.linalg.norm(of[:, None] - of, axis=2)

    np.testing.assert_allclose(distances(points), distances(values), atol=1e-9)
    assert (np.diff(points.var(axis=0)) <= 1e-9).all()


def test_factors_find_the_common_cause():
    rng = np.random.default_rng(1)
    cause = rng.normal(size=200)
    frame = pl.DataFrame({f"f{i}": (i + 1) * cause + 0.5 * rng.normal(size=200) for i in range(5)})
    reduction = profiling.reduce_features(frame, "factor_analysis", 1)
    assert abs(np.corrcoef(reduction.profiles["Factor001"], cause)[0, 1]) > 0.98
    again = profiling.reduce_features(frame, "factor_analysis", 1)
    assert again.profiles.equals(reduction.profiles)


def test_gaps_are_named(wells):
    with pytest.raises(ConfigurationError, match="signal1"):
        profiling.reduce_features(wells.with_columns(signal1=pl.lit(float("nan"))), "pca")


def test_heterogeneity_tells_spread_and_covariance_apart():
    rng = np.random.default_rng(2)
    base = rng.normal(size=(300, 4))
    linked = base.copy()
    linked[:, 1] = linked[:, 0]
    wide = 3 * base
    cells = pl.concat(
        pl.DataFrame(v, schema=[f"f{i}" for i in range(4)]).with_columns(Metadata_Well=pl.lit(n))
        for n, v in (("A01", base), ("A02", linked), ("A03", wide))
    )
    table = profiling.heterogeneity(cells, "Metadata_Well", projections=16)
    assert table["Metadata_CellCount"].to_list() == [300, 300, 300]
    assert table["f0_mad"][2] == pytest.approx(3 * table["f0_mad"][0])
    covariances = table.select("^Covariance_.*$").to_numpy()
    assert covariances.shape == (3, 16)
    assert np.linalg.norm(covariances[1] - covariances[0]) > 0.1
    assert table.equals(profiling.heterogeneity(cells, "Metadata_Well", projections=16))


def test_one_cell_has_no_covariance():
    cells = pl.DataFrame(
        {"Metadata_Well": ["A01", "A02", "A02"], "x": [1.0, 2, 3], "y": [1.0, 5, 2]}
    )
    table = profiling.heterogeneity(cells, "Metadata_Well", projections=2)
    assert np.isnan(table["Covariance_000"][0])
    assert np.isfinite(table["Covariance_000"][1])
