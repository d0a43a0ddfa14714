"""Consensus profiles: hand-worked groups, metadata that stays, the published modz table."""

import numpy as np
import polars as pl
import pytest

from phenolake import profiling
from phenolake.errors import UnknownNameError

NAN = float("nan")
WELLS = pl.DataFrame(
    {
        "Metadata_Perturbation": ["b", "a", "a", "a"],
        "Metadata_Well": ["A01", "A02", "A03", "A04"],
        "Metadata_MOA": ["y", "x", "x", "x"],
        "Metadata_CellCount": [10, 1, 2, 3],
        "f": [4.0, 1.0, 2.0, 9.0],
        "g": [NAN, NAN, 2.0, 4.0],
    }
)


def test_median_by_hand():
    result = profiling.consensus(WELLS, "Metadata_Perturbation")
    assert result["Metadata_Perturbation"].to_list() == ["a", "b"]
    assert result["Metadata_WellCount"].to_list() == [3, 1]
    assert result["Metadata_CellCount"].to_list() == [6, 10]
    assert result["f"].to_list() == [2.0, 4.0]
    assert result["g"][0] == 3.0
    assert np.isnan(result["g"][1])


def test_metadata_of_one_value_per_group_stays():
    result = profiling.consensus(WELLS, "Metadata_Perturbation", "mean")
    assert result["Metadata_MOA"].to_list() == ["x", "y"]
    assert "Metadata_Well" not in result.columns


def test_modz_trusts_replicates_that_agree():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=200)
    rows = [signal + 0.1 * rng.normal(size=200) for _ in range(3)] + [rng.normal(size=200)]
    wells = pl.DataFrame(np.array(rows), orient="row").with_columns(Metadata_P=pl.lit("p"))
    modz, plain = (
        profiling.consensus(wells, "Metadata_P", method).drop("^Metadata_.*$").row(0)
        for method in ("modz", "mean")
    )
    assert np.corrcoef(modz, signal)[0, 1] > np.corrcoef(plain, signal)[0, 1]


def test_modz_of_one_replicate_is_that_replicate():
    assert profiling.consensus(WELLS[:1], "Metadata_Perturbation", "modz")["f"].to_list() == [4.0]


def test_a_null_dose_is_a_group():
    wells = WELLS.with_columns(Metadata_Concentration=pl.Series([1.0, None, None, 1.0]))
    result = profiling.consensus(wells, ["Metadata_Perturbation", "Metadata_Concentration"])
    assert result["Metadata_WellCount"].to_list() == [2, 1, 1]


def test_unknown_method_is_named():
    with pytest.raises(UnknownNameError, match="modz"):
        profiling.consensus(WELLS, "Metadata_Perturbation", "mod")


def test_published_modz_table(shared_data):
    folder = shared_data / "pycytominer_stages"
    wells, published = (
        pl.read_csv(folder / f"218360_{stage}.csv.gz", infer_schema_length=None)
        for stage in ("normalized_feature_select", "consensus")
    )
    by = ["Metadata_clone_number", "Metadata_treatment"]
    ours = profiling.consensus(wells, by, "modz")
    theirs = published.sort(by)
    assert ours.select(by).equals(theirs.select(by))
    features = profiling.feature_columns(theirs)
    np.testing.assert_allclose(
        ours.select(features).to_numpy(), theirs.select(features).to_numpy(), atol=1e-4
    )
