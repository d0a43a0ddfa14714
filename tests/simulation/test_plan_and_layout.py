"""Plans refuse the impossible; layouts hold controls, mechanisms and doses at every size."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenolake.errors import ConfigurationError
from phenolake.simulation import SimulationPlan, plate_map, true_wells
from phenolake.simulation.compounds import (
    CELL_PAINTING_COMPOUNDS,
    CYTOTOXICITY_COMPOUNDS,
    MECHANISMS,
)
from phenolake.simulation.layout import dose_series
from phenolake.simulation.phenotype import PARAMETERS, hill_response, phenotype_at

PRESETS = ("cell_painting", "four_channel_cytotoxicity")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("preset", "cell_paintings"),
        ("wells", 100),
        ("plates", 0),
        ("sites", 0),
        ("seed", -1),
        ("size", 8),
        ("batches", 2),
        ("wells_used", 3),
        ("wells_used", 97),
        ("name", "a/b"),
    ],
)
def test_impossible_plan_is_refused(field, value):
    with pytest.raises(ConfigurationError):
        SimulationPlan(**{field: value})


def test_plates_fill_batches_in_order():
    plan = SimulationPlan(plates=5, batches=2)
    assert [plan.batch_name(plate) for plate in plan.plate_names] == ["B1", "B1", "B1", "B2", "B2"]


def test_hill_response_worked_by_hand():
    assert hill_response(0.0, 1.0) == 0.0
    assert hill_response(2.0, 2.0, slope=3.0) == 0.5
    assert hill_response(3.0, 1.0) == pytest.approx(0.75)
    assert hill_response(2.0, 1.0, slope=2.0) == pytest.approx(0.8)


@given(
    mechanism=st.sampled_from(sorted(MECHANISMS)),
    doses=st.lists(st.floats(1e-4, 1e4), min_size=2, max_size=6, unique=True),
)
def test_every_parameter_is_monotone_in_the_dose(mechanism, doses):
    effects = MECHANISMS[mechanism]
    assert set(effects) <= set(PARAMETERS)
    series = [phenotype_at(effects, hill_response(dose, 1.0, 1.3)) for dose in sorted(doses)]
    for name in PARAMETERS:
        values = [phenotype[name] for phenotype in series]
        expected = sorted(values, reverse=effects.get(name, 1.0) < 1)
        assert values == pytest.approx(expected)


def test_dose_series_spans_three_decades_evenly():
    compound = next(c for c in CYTOTOXICITY_COMPOUNDS if c.name == "5-FU")
    series = dose_series(compound, 4)
    assert series == pytest.approx([100, 10, 1, 0.1])


def test_series_of_active_compounds_bracket_their_ec50():
    for compound in (*CELL_PAINTING_COMPOUNDS, *CYTOTOXICITY_COMPOUNDS):
        if compound.ec50_um is not None:
            series = dose_series(compound, 8)
            assert series[-1] < compound.ec50_um < series[0]


def test_cell_painting_mechanisms_have_two_compounds_each():
    mechanisms = [c.mechanism for c in CELL_PAINTING_COMPOUNDS if c.name != "staurosporine"]
    assert len(set(mechanisms)) == 12
    assert all(mechanisms.count(mechanism) == 2 for mechanism in mechanisms)


@given(
    preset=st.sampled_from(PRESETS),
    wells=st.sampled_from([96, 384]),
    used=st.integers(4, 96),
    seed=st.integers(0, 5),
)
@settings(max_examples=40, deadline=None)
def test_every_layout_has_distinct_wells_and_controls(preset, wells, used, seed):
    table = plate_map(SimulationPlan(preset=preset, wells=wells, wells_used=used, seed=seed))
    assert table.height == used
    assert table["well"].n_unique() == used
    controls = set(table["control"])
    assert {"negcon", "poscon", "trt"} <= controls
    assert table.filter(pl.col("control") == "empty")["perturbation"].null_count() == (
        table.filter(pl.col("control") == "empty").height
    )
    if used >= 24:
        mechanisms = table.filter(pl.col("control") == "trt")["moa"].n_unique()
        assert mechanisms == (12 if preset == "cell_painting" else 7)
        doses = table.filter(pl.col("control") == "trt").group_by("perturbation").n_unique()
        assert doses["concentration"].max() >= 4


def test_plates_are_replicates_unless_shuffled():
    columns = ["well", "perturbation", "concentration", "control"]
    for shuffle in (False, True):
        plan = SimulationPlan(plates=2, shuffle_layout=shuffle)
        first, second = (
            plate_map(plan).select("plate", *columns).partition_by("plate", include_key=False)
        )
        assert first.equals(second) is not shuffle
        conditions = columns[1:]
        assert (
            first.select(conditions)
            .sort(conditions)
            .equals(second.select(conditions).sort(conditions))
        )


def test_controls_are_spread_over_the_plate():
    table = plate_map(SimulationPlan(wells=384)).filter(pl.col("control") == "negcon")
    rows = table["well"].str.slice(0, 1)
    columns = table["well"].str.slice(1)
    assert rows.n_unique() >= 12
    assert columns.n_unique() >= 12


def test_published_ic50s_are_the_truth():
    truth = true_wells(SimulationPlan(preset="four_channel_cytotoxicity"))
    ec50 = dict(
        truth.filter(pl.col("control") == "trt")
        .select("perturbation", "ec50_um")
        .unique()
        .iter_rows()
    )
    assert ec50 == {
        "5-FU": 1.1,
        "Bortezomib": 0.0019,
        "Erlotinib": None,
        "Oxaliplatin": 2.8,
        "Regorafenib": None,
        "SN-38": 0.0011,
        "Staurosporine": 0.0324,
    }
    assert not truth.filter(pl.col("ec50_um").is_null())["active"].any()
