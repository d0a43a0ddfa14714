"""Normalization: published values, units of the controls' spread, constant features."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from phenolake import profiling
from phenolake.errors import ControlsMissingError, UnknownNameError

IS_CONTROL = pl.col("Metadata_ControlType") == "negcon"


def plate(values, control_types, name="P1"):
    count = len(control_types)
    return pl.DataFrame(
        {"Metadata_Plate": [name] * count, "Metadata_ControlType": control_types, "x": values}
    )


def test_standardize_by_hand():
    wells = plate([1.0, 3.0, 5.0, 10.0], ["negcon", "negcon", "negcon", None])
    sd = np.sqrt(8 / 3)
    result = profiling.normalize(wells, "standardize", reference=IS_CONTROL)
    np.testing.assert_allclose(result["x"], [-2 / sd, 0, 2 / sd, 7 / sd])
    assert result["Metadata_ControlType"].to_list() == wells["Metadata_ControlType"].to_list()


def test_mad_robustize_by_hand():
    wells = plate([1.0, 2.0, 4.0, 100.0, 8.0], ["negcon"] * 4 + ["trt"])
    # median 3; distances 2 1 1 97, their median 1.5
    result = profiling.normalize(wells, "mad_robustize", reference=IS_CONTROL, epsilon=0.5)
    np.testing.assert_allclose(result["x"], (wells["x"] - 3) / (1.5 * 1.4826 + 0.5))


def test_plates_are_independent_and_rows_keep_their_order():
    first = plate([1.0, 3.0], ["negcon"] * 2)
    second = plate([100.0, 300.0], ["negcon"] * 2, "P2")
    mixed = pl.concat([first, second])[[0, 2, 1, 3]]
    result = profiling.normalize(mixed, "standardize", reference=IS_CONTROL)
    assert result["x"].to_list() == [-1.0, -1.0, 1.0, 1.0]
    assert result["Metadata_Plate"].to_list() == ["P1", "P2", "P1", "P2"]


@pytest.mark.parametrize("method", ["standardize", "mad_robustize"])
@pytest.mark.parametrize("constant", [0.1, 0.0, 1e300, -7.0])
def test_constant_feature_is_nan_and_reported_never_inf(method, constant):
    wells = pl.concat(
        [
            plate([constant] * 15 + [9.0], ["negcon"] * 15 + ["trt"]),
            plate(list(range(16)), ["negcon"] * 15 + ["trt"], "P2").cast({"x": pl.Float64}),
        ]
    )
    result = profiling.normalize(wells, method, reference=IS_CONTROL)
    assert result.filter(Metadata_Plate="P1")["x"].is_nan().all()
    assert result.filter(Metadata_Plate="P2")["x"].is_finite().all()
    report = profiling.constant_features(wells, method, reference=IS_CONTROL)
    assert report.rows() == [("P1", "x", "constant")]


def test_report_tells_why_a_feature_is_lost():
    wells = pl.DataFrame(
        {
            "Metadata_Plate": ["P1"] * 4,
            "mostly_zero": [0.0, 0, 0, 5],
            "missing": [None] * 4,
            "fine": [1.0, 2, 3, 4],
        }
    )
    report = profiling.constant_features(wells, "mad_robustize")
    assert dict(report.select("feature", "reason").iter_rows()) == {
        "mostly_zero": "no_spread",
        "missing": "missing",
    }


def test_gaps_among_controls_are_left_out():
    wells = plate([1.0, None, 3.0, float("nan"), 5.0], ["negcon"] * 4 + ["trt"])
    result = profiling.normalize(wells, "standardize", reference=IS_CONTROL)["x"].to_list()
    np.testing.assert_allclose(result, [-1, np.nan, 1, np.nan, 3])


def test_infinite_measurements_become_nan():
    wells = plate([1.0, 3.0, float("inf")], ["negcon", "negcon", "negcon"])
    result = profiling.normalize(wells, "standardize", reference=IS_CONTROL)["x"].to_list()
    np.testing.assert_allclose(result, [-1, 1, np.nan])


def test_plate_without_controls_is_named():
    wells = pl.concat([plate([1.0], ["negcon"]), plate([1.0], ["trt"], "P2")])
    with pytest.raises(ControlsMissingError, match=r"standardize.*plate P2"):
        profiling.normalize(wells, "standardize", reference=IS_CONTROL)


def test_unknown_method_is_named():
    with pytest.raises(UnknownNameError, match="mad_robustize"):
        profiling.normalize(plate([1.0], ["negcon"]), "robustize")


@given(arrays(np.float64, (3, 12), elements=st.floats(-1e3, 1e3, width=32)))
@settings(max_examples=50, deadline=None)
def test_normalized_controls_have_centre_0_and_spread_1(values):
    wells = pl.DataFrame({f"f{i}": row for i, row in enumerate(values)})
    robust = profiling.normalize(wells, "mad_robustize", by=()).to_numpy().T
    standard = profiling.normalize(wells, "standardize", by=()).to_numpy().T
    assert not np.isinf(robust).any()
    for row in robust[~np.isnan(robust).any(axis=1)]:
        assert abs(np.median(row)) < 1e-9
        assert np.isclose(1.4826 * np.median(np.abs(row)), 1)
    for index in np.flatnonzero(np.ptp(values, axis=1) > 1e-3):
        assert abs(standard[index].mean()) < 1e-6
        assert np.isclose(standard[index].std(), 1)


def test_signed_log_keeps_sign_order_and_gaps():
    logged = profiling.signed_log(pl.DataFrame({"x": [-1.0, 0.0, np.e - 1, float("nan")]}))["x"]
    np.testing.assert_allclose(logged, [-np.log(2), 0, 1, np.nan])


def test_published_standardized_plate(shared_data):
    folder = shared_data / "pycytominer_stages"
    wells, published = (
        pl.read_csv(folder / f"218360_{stage}.csv.gz", infer_schema_length=None)
        for stage in ("augmented", "normalized")
    )
    dmso = pl.col("Metadata_treatment") == "0.1% DMSO"
    features = profiling.feature_columns(wells)
    ours = profiling.normalize(wells, "standardize", reference=dmso).select(features).to_numpy()
    lost = np.isnan(ours).all(axis=0)
    theirs = published.select(features).to_numpy()
    np.testing.assert_allclose(ours[:, ~lost], theirs[:, ~lost], atol=1e-6)
    report = profiling.constant_features(wells, reference=dmso)
    assert set(report["feature"]) == {
        name for name, gone in zip(features, lost, strict=True) if gone
    }
    assert len(features) == 3526
    assert report.height == 109
