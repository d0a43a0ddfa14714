"""Aggregation: hand-worked wells, a naive reference, gaps, order and lazy input."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenolake import profiling
from phenolake.errors import ConfigurationError, UnknownNameError
from phenolake.profiling import aggregation

NAN = float("nan")
CELLS = pl.DataFrame(
    {
        "Metadata_Plate": ["P1"] * 5 + ["P2"],
        "Metadata_Well": ["B01", "A01", "A01", "A01", "A01", "A01"],
        "Metadata_Site": [1, 1, 1, 2, 2, 1],
        "area": [5.0, 1.0, 2.0, 4.0, 10.0, 7.0],
        "gaps": [NAN, NAN, 3.0, None, 5.0, 1.0],
    }
)
WELL = ["Metadata_Plate", "Metadata_Well"]


def test_median_of_hand_worked_wells():
    profiles = profiling.aggregate(CELLS, WELL)
    assert profiles.columns == [*WELL, "Metadata_CellCount", "area", "gaps"]
    assert profiles["Metadata_Well"].to_list() == ["A01", "B01", "A01"]
    assert profiles["Metadata_CellCount"].to_list() == [4, 1, 1]
    assert profiles["area"].to_list() == [3.0, 5.0, 7.0]
    assert profiles["gaps"][0] == 4.0
    assert np.isnan(profiles["gaps"][1])


def test_mean_ignores_gaps():
    profiles = profiling.aggregate(CELLS, WELL, "mean")
    assert profiles["area"].to_list() == [4.25, 5.0, 7.0]
    assert profiles["gaps"][0] == 4.0


def test_empty_table_yields_no_profile():
    profiles = profiling.aggregate(CELLS.clear(), WELL)
    assert profiles.height == 0
    assert profiles.schema["area"] == pl.Float64


def test_integer_and_boolean_features_become_float():
    cells = CELLS.select(*WELL, n=pl.col("Metadata_Site"), touching=pl.col("area") > 4)
    profiles = profiling.aggregate(cells, WELL, "mean")
    assert profiles["n"].to_list() == [1.5, 1.0, 1.0]
    assert profiles["touching"].to_list() == [0.25, 1.0, 1.0]


def test_text_feature_is_refused_by_name():
    with pytest.raises(ConfigurationError, match="'stage'"):
        profiling.aggregate(CELLS.with_columns(stage=pl.lit("M")), WELL)


def test_unknown_key_and_statistic_offer_the_closest():
    with pytest.raises(UnknownNameError, match="Metadata_Well"):
        profiling.aggregate(CELLS, ["Metadata_Wel"])
    with pytest.raises(UnknownNameError, match="median"):
        profiling.aggregate(CELLS, WELL, "medan")


def test_a_lazy_scan_gives_the_same_profiles(tmp_path):
    CELLS.write_parquet(tmp_path / "cells.parquet")
    lazy = profiling.aggregate(pl.scan_parquet(tmp_path / "cells.parquet"), WELL)
    assert lazy.equals(profiling.aggregate(CELLS, WELL))


def test_blocks_of_columns_change_nothing(monkeypatch):
    whole = profiling.aggregate(CELLS, WELL)
    monkeypatch.setattr(aggregation, "_VALUES_AT_ONCE", 1)
    assert profiling.aggregate(CELLS, WELL).equals(whole)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["A01", "A02", "B01"]),
            st.floats(-1e6, 1e6, width=32) | st.just(NAN),
        ),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from(["median", "mean"]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_agrees_with_numpy_in_any_order_of_cells(rows, statistic, random):
    random.shuffle(rows)
    cells = pl.DataFrame(rows, schema={"Metadata_Well": pl.String, "x": pl.Float32}, orient="row")
    profiles = profiling.aggregate(cells, "Metadata_Well", statistic)
    for well, count, value in profiles.iter_rows():
        mine = np.array([x for name, x in rows if name == well], np.float64)
        assert count == mine.size
        mine = mine[~np.isnan(mine)]
        expected = getattr(np, statistic)(mine) if mine.size else NAN
        np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-9)


BORDERED = pl.DataFrame(
    {
        "Metadata_Plate": ["P2", "P1", "P1", "P1", "P2", "P1"],
        "Metadata_Well": ["A01", "A01", "A01", "A01", "A01", "B01"],
        "Metadata_TouchesBorder": [False, False, True, False, None, True],
        "Cells_x": [1.0, 2.0, 100.0, 4.0, 3.0, 9.0],
        "Nuclei_y": [0.0, 1.0, 2.0, 3.0, float("nan"), 5.0],
    }
)
WELL_KEYS = ["Metadata_Plate", "Metadata_Well"]


def test_several_statistics_give_several_columns():
    table = profiling.aggregate(BORDERED, WELL_KEYS, ["median", "mad", "q25"])
    assert table.columns[3:] == [
        "Cells_x_median", "Nuclei_y_median", "Cells_x_mad", "Nuclei_y_mad", "Cells_x_q25", "Nuclei_y_q25",
    ]  # fmt: skip
    first = table.row(0, named=True)
    assert (first["Cells_x_median"], first["Cells_x_q25"]) == (4, 3)
    assert first["Cells_x_mad"] == pytest.approx(1.4826 * 2)


def test_excluded_cells_are_counted_and_do_not_count():
    keep = ~pl.col("Metadata_TouchesBorder").fill_null(False)
    table = profiling.aggregate(BORDERED, WELL_KEYS, keep=keep)
    assert table["Metadata_CellCount"].to_list() == [2, 0, 2]
    assert table["Metadata_ExcludedCellCount"].to_list() == [1, 1, 0]
    assert table["Cells_x"][0] == 3
    assert np.isnan(table["Cells_x"][1])


def test_wells_with_too_few_cells_have_no_values():
    table = profiling.aggregate(BORDERED, WELL_KEYS, min_cells=2)
    assert table["Metadata_CellCount"].to_list() == [3, 1, 2]
    assert np.isnan(table["Cells_x"][1])
    assert table["Cells_x"][2] == 2


def test_one_compartment_alone():
    table = profiling.aggregate(BORDERED, WELL_KEYS, compartments=["Nuclei"])
    assert table.columns[3:] == ["Nuclei_y"]
    with pytest.raises(ConfigurationError, match="Cytoplasm"):
        profiling.aggregate(BORDERED, WELL_KEYS, compartments=["Cytoplasm"])


def test_one_plate_at_a_time_gives_the_same_table():
    whole = profiling.aggregate(BORDERED, WELL_KEYS)
    parts = profiling.aggregate(BORDERED.lazy(), WELL_KEYS, one_at_a_time="Metadata_Plate")
    assert parts.equals(whole)


def test_unknown_percentile_is_named():
    with pytest.raises(UnknownNameError, match="q101"):
        profiling.aggregate(BORDERED, WELL_KEYS, "q101")
