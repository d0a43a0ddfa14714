"""Curves of a table of wells, and what of a screen can respond."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenolake.dose_response import curve_values, fit_curves
from phenolake.errors import UnknownNameError
from phenolake.stages.dose_responses import class_shares, profile_distances


def wells(**columns) -> pl.DataFrame:
    """Two drugs in six doses on two plates, each plate with four controls."""
    rows = []
    for plate in ("P1", "P2"):
        rows += [("DMSO", None, "negcon", plate, f"A{i:02d}") for i in range(1, 5)]
        for letter, drug in (("B", "one"), ("C", "two")):
            doses = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0)
            rows += [(drug, d, "trt", plate, f"{letter}{i:02d}") for i, d in enumerate(doses, 1)]
    names = ["Perturbation", "Concentration", "ControlType", "Plate", "Well"]
    frame = pl.DataFrame(rows, [f"Metadata_{name}" for name in names], orient="row")
    return frame.with_columns(pl.lit("uM").alias("Metadata_ConcentrationUnit"), **columns)


def with_responses() -> pl.DataFrame:
    frame = wells()
    dose = frame["Metadata_Concentration"].fill_null(0).to_numpy()
    noise = np.random.default_rng(0).normal(0, 0.3, frame.height)
    rise = np.where(frame["Metadata_Perturbation"] == "one", curve_values(dose, 5, 15, 0.5, 1.5), 5)
    return frame.with_columns(pl.Series("rise", rise + noise), pl.Series("noise", noise))


def test_each_compound_and_response_has_a_row():
    curves = fit_curves(with_responses(), ["rise", "noise"])
    keys = curves.select("Metadata_Perturbation", "response", "flag").rows()
    assert keys == [
        ("one", "noise", "no_activity"),
        ("one", "rise", "ok"),
        ("two", "noise", "no_activity"),
        ("two", "rise", "no_activity"),
    ]
    row = curves.row(1, named=True)
    assert (row["wells"], row["control_wells"], row["doses"]) == (12, 8, 6)
    assert (row["lowest_dose"], row["highest_dose"]) == (0.01, 10)
    assert row["ec50_low"] < 0.5 < row["ec50_high"]


def test_single_response_is_fitted_as_among_many():
    frame = with_responses()
    alone = fit_curves(frame, "rise")
    together = fit_curves(frame, ["noise", "rise"]).filter(response="rise")
    assert alone.equals(together)


def test_positive_control_wells_are_used_only_without_treated_ones():
    poscon = pl.col("Metadata_Concentration") == 10
    frame = with_responses().with_columns(
        pl.when(poscon)
        .then(pl.lit("poscon"))
        .otherwise("Metadata_ControlType")
        .alias("Metadata_ControlType")
    )
    assert fit_curves(frame, "rise")["highest_dose"].to_list() == [3, 3]
    only = with_responses().with_columns(pl.col("Metadata_ControlType").replace("trt", "poscon"))
    assert fit_curves(only, "rise")["highest_dose"].to_list() == [10, 10]


def test_compound_with_two_doses_has_no_row():
    frame = with_responses().filter(
        (pl.col("Metadata_Perturbation") != "two") | (pl.col("Metadata_Concentration") < 0.2)
    )
    assert fit_curves(frame, "rise")["Metadata_Perturbation"].to_list() == ["one"]


def test_control_group_with_controls_of_its_own_is_judged_by_them():
    frame = with_responses().with_columns(
        pl.when(pl.col("Metadata_Well").str.slice(0, 1) == "B")
        .then(pl.lit("top"))
        .when(pl.col("Metadata_Well").is_in(["A01", "A02"]))
        .then(pl.lit("top"))
        .alias("Metadata_ControlGroup")
    )
    counts = fit_curves(frame, "rise").select("Metadata_Perturbation", "control_wells").rows()
    assert counts == [("one", 4), ("two", 8)]


def test_values_missing_in_some_wells_leave_those_wells_out():
    frame = with_responses().with_columns(
        pl.when(pl.col("Metadata_Plate") == "P1").then("rise").alias("half")
    )
    assert fit_curves(frame, "half")["wells"].to_list() == [6, 6]


def test_no_wells_give_no_curves_and_unknown_columns_are_named():
    assert fit_curves(with_responses().clear(), "rise").is_empty()
    with pytest.raises(UnknownNameError, match="rise"):
        fit_curves(with_responses(), "rize")


def test_class_that_no_cell_of_a_well_has_is_a_share_of_zero():
    cell = {"Metadata_Plate": "P1", "model_name": "m", "model_version": "2"}
    cells = [("A01", "dead"), ("A01", "round"), ("A01", "round"), ("A02", "round")]
    shares = class_shares(
        pl.DataFrame([cell | {"Metadata_Well": well, "label": label} for well, label in cells])
    )
    assert shares["share of dead (m 2)"].to_list() == [pytest.approx(1 / 3), 0]
    assert shares["share of round (m 2)"].to_list() == [pytest.approx(2 / 3), 1]


def test_distance_is_from_the_controls_of_the_plate():
    rows = [
        ("P1", "A01", "negcon", 0.0, 0.0), ("P1", "A02", "negcon", 2.0, 0.0), ("P1", "B01", "trt", 4.0, 4.0),
        ("P2", "A01", "trt", 9.0, 9.0),
    ]  # fmt: skip
    profiles = pl.DataFrame(
        rows,
        ["Metadata_Plate", "Metadata_Well", "Metadata_ControlType", "a", "b"],
        orient="row",
    ).with_columns(pl.lit("none").alias("Metadata_Correction"))
    distance = profile_distances(profiles).sort("Metadata_Plate", "Metadata_Well")
    # The mean control is (1, 0); the treated well is (3, 4) away, over the root of two features.
    assert distance["profile distance (none)"].to_list() == [
        pytest.approx(1 / 2**0.5), pytest.approx(1 / 2**0.5), pytest.approx(5 / 2**0.5), None,
    ]  # fmt: skip
