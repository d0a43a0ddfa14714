"""Treatments do to simulated cells what their mechanism says, and inert ones do nothing to see."""

from __future__ import annotations

import numpy as np
import pytest

from phenolake.simulation import SimulationPlan, simulate_site
from phenolake.simulation.layout import plate_layout

CYTOTOXICITY = SimulationPlan(preset="four_channel_cytotoxicity", sites=2, size=384, seed=11)


def measure(plan, wells, sites=2):
    """Cells per site, mean nucleus and cell area, mean and SD within cells of each channel."""
    fields = [
        simulate_site(plan, "P01", well, site) for well in wells for site in range(1, sites + 1)
    ]
    fields = [field for field in fields if field.in_focus and not field.dirt]
    rows = [
        [
            field.table.height,
            field.table["nucleus_area"].median(),
            field.table["cell_area"].median(),
            *[channel[field.cells > 0].mean() for channel in field.image],
            *[channel[field.nuclei > 0].std() for channel in field.image],
        ]
        for field in fields
    ]
    return np.array(rows, float)


def series_of(plan, compound):
    """Wells of one compound, lowest dose first."""
    layout = plate_layout(plan, "P01").items()
    wells = [
        (t.concentration_um, w.name)
        for w, t in layout
        if t.compound and t.compound.name == compound
    ]
    doses = sorted({dose for dose, _ in wells})
    return [[name for d, name in wells if d == dose] for dose in doses]


def negative_controls(plan):
    return [w.name for w, t in plate_layout(plan, "P01").items() if t.control == "negcon"]


def test_density_falls_and_nuclei_grow_with_the_dose_of_sn38():
    low, _, middle, *_, high = series_of(CYTOTOXICITY, "SN-38")
    counts, areas = zip(
        *[measure(CYTOTOXICITY, wells[:2])[:, :2].mean(0) for wells in (low, middle, high)],
        strict=True,
    )
    assert counts[0] > counts[1] > 1.5 * counts[2]
    assert areas[0] < areas[1] < areas[2]


@pytest.fixture(scope="module")
def untreated():
    return measure(CYTOTOXICITY, negative_controls(CYTOTOXICITY)[:6])


def distance(untreated, treated):
    """Largest shift of a feature's mean, in standard deviations of the untreated fields."""
    return float(np.max(np.abs(treated.mean(0) - untreated.mean(0)) / untreated.std(0, ddof=1)))


@pytest.mark.parametrize("compound", ["Erlotinib", "Regorafenib"])
def test_inert_compound_is_close_to_dmso_at_its_highest_dose(untreated, compound):
    treated = measure(CYTOTOXICITY, series_of(CYTOTOXICITY, compound)[-1])
    assert distance(untreated, treated) < 3
    assert np.allclose(treated.mean(0), untreated.mean(0), rtol=0.15)


@pytest.mark.parametrize(
    "compound", ["5-FU", "Bortezomib", "Oxaliplatin", "SN-38", "Staurosporine"]
)
def test_active_compound_is_far_from_dmso_at_its_highest_dose(untreated, compound):
    treated = measure(CYTOTOXICITY, series_of(CYTOTOXICITY, compound)[-1])
    assert distance(untreated, treated) > 6
    assert treated[:, 0].mean() < 0.6 * untreated[:, 0].mean()


def test_mechanisms_show_in_the_channel_that_stains_their_target():
    plan = SimulationPlan(size=384, seed=2, sites=3)
    dmso = measure(plan, negative_controls(plan)[:2], sites=3).mean(0)
    uncoupled = measure(plan, series_of(plan, "FCCP")[-1], sites=3).mean(0)
    no_synthesis = measure(plan, series_of(plan, "cycloheximide")[-1], sites=3).mean(0)
    aurora = measure(plan, series_of(plan, "barasertib")[-1], sites=3).mean(0)
    rna, mito = 3 + 2, 3 + 4
    assert uncoupled[mito] < 0.8 * dmso[mito]
    assert uncoupled[rna] > 0.8 * dmso[rna]
    assert no_synthesis[rna] < 0.8 * dmso[rna]
    assert aurora[1] > 1.7 * dmso[1]


def test_batches_differ_in_stain_strength_more_than_plates_of_one_batch():
    plan = SimulationPlan(plates=12, batches=4, size=128, wells_used=8, seed=5)
    from phenolake.simulation.optics import acquisition

    gains = np.log([acquisition(plan, plate).gain for plate in plan.plate_names]).reshape(4, 3, -1)
    within = gains.std(1, ddof=1).mean()
    between = gains.mean(1).std(0, ddof=1).mean()
    assert between > 1.5 * within


def test_shading_darkens_the_corners():
    from phenolake.simulation.optics import acquisition

    shading = acquisition(SimulationPlan(size=128), "P01").shading
    assert shading.mean((1, 2)) == pytest.approx(np.ones(5), rel=1e-5)
    for channel in shading:
        corners = channel[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert corners.mean() < 0.95 * channel[64, 64]
