"""One simulated field: the same every time, and true to its truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from phenolake.errors import ConfigurationError
from phenolake.simulation import SimulationPlan, simulate_site
from phenolake.simulation.layout import plate_layout
from phenolake.simulation.outlines import assign_pixels, outlines, true_labels

CYTOTOXICITY = "four_channel_cytotoxicity"
PRESETS = ("cell_painting", CYTOTOXICITY)


def wells_of(plan, control=None, compound=None, plate="P01"):
    """Wells by control type or compound, highest dose first."""
    found = [
        (treatment.concentration_um, well.name)
        for well, treatment in plate_layout(plan, plate).items()
        if (control is None or treatment.control == control)
        and (compound is None or (treatment.compound and treatment.compound.name == compound))
    ]
    return [name for _, name in sorted(found, key=lambda pair: -pair[0])]


def equal_sites(first, second):
    return (
        np.array_equal(first.image, second.image)
        and np.array_equal(first.nuclei, second.nuclei)
        and np.array_equal(first.cells, second.cells)
        and first.table.equals(second.table)
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_same_plan_gives_same_site_whatever_came_before(preset):
    plan = SimulationPlan(preset=preset, plates=2, sites=2, size=200, seed=4)
    first = simulate_site(plan, "P02", "B03", 2)
    simulate_site(plan, "P01", "H12", 1)
    assert equal_sites(first, simulate_site(plan, "P02", "B03", 2))


def test_adding_sites_leaves_existing_ones_unchanged():
    small = SimulationPlan(plates=1, sites=1, size=160)
    large = SimulationPlan(plates=3, sites=4, size=160)
    assert equal_sites(simulate_site(small, "P01", "C04", 1), simulate_site(large, "P01", "C04", 1))


def test_seed_plate_well_and_site_each_change_the_image():
    plan = SimulationPlan(plates=2, sites=2, size=128)
    reference = simulate_site(plan, "P01", "C04", 1).image
    other_seed = SimulationPlan(plates=2, sites=2, size=128, seed=1)
    for changed in (
        simulate_site(plan, "P02", "C04", 1),
        simulate_site(plan, "P01", "C05", 1),
        simulate_site(plan, "P01", "C04", 2),
        simulate_site(other_seed, "P01", "C04", 1),
    ):
        assert not np.array_equal(reference, changed.image)


@pytest.mark.parametrize(("well", "site"), [("A01", 1), ("B02", 2), ("B02", 0)])
def test_site_outside_the_plan_is_refused(well, site):
    plan = SimulationPlan(wells_used=8)
    with pytest.raises(ConfigurationError, match="no site"):
        simulate_site(plan, "P01", well, site)


@given(preset=st.sampled_from(PRESETS), seed=st.integers(0, 1000), column=st.integers(1, 12))
@settings(max_examples=12, deadline=None)
def test_labels_count_and_contain_each_other(preset, seed, column):
    plan = SimulationPlan(preset=preset, size=192, seed=seed)
    field = simulate_site(plan, "P01", f"D{column:02d}", 1)
    numbers = np.arange(1, field.table.height + 1)
    assert field.image.dtype == np.uint16
    assert field.nuclei.dtype == field.cells.dtype == np.int32
    assert np.array_equal(np.unique(field.nuclei[field.nuclei > 0]), numbers)
    assert np.array_equal(np.unique(field.cells[field.cells > 0]), numbers)
    inside = field.nuclei > 0
    assert np.array_equal(field.cells[inside], field.nuclei[inside])
    assert field.table["Metadata_ObjectNumber"].to_list() == numbers.tolist()
    assert np.array_equal(
        np.bincount(field.nuclei.ravel())[1:], field.table["nucleus_area"].to_numpy()
    )
    assert (field.table["cell_area"] >= field.table["nucleus_area"]).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_cell_is_one_piece_with_its_nucleus_at_the_stated_centre(preset):
    plan = SimulationPlan(preset=preset, size=320)
    field = simulate_site(plan, "P01", wells_of(plan, "negcon")[0], 1)
    centres = field.table.select("center_y", "center_x").to_numpy()
    assert field.table.height > 10
    for number, window in enumerate(ndimage.find_objects(field.cells), start=1):
        assert ndimage.label(field.cells[window] == number)[1] == 1
        y, x = ndimage.center_of_mass(field.nuclei == number)
        if 20 < y < 300 and 20 < x < 300:
            assert np.hypot(*(centres[number - 1] - (y, x))) < 4


@pytest.mark.parametrize(("preset", "cell_channel"), [("cell_painting", 2), (CYTOTOXICITY, 2)])
def test_objects_are_brighter_than_background(preset, cell_channel):
    plan = SimulationPlan(preset=preset, size=320)
    field = simulate_site(plan, "P01", wells_of(plan, "negcon")[1], 1)
    dna, body = field.image[0].astype(float), field.image[cell_channel].astype(float)
    assert dna[field.nuclei > 0].mean() > 4 * dna[field.nuclei == 0].mean()
    assert body[field.cells > 0].mean() > 2 * body[field.cells == 0].mean()
    assert field.image.max() < 65535


def test_empty_well_holds_no_cells_and_only_background():
    plan = SimulationPlan(size=256, seed=3)
    field = simulate_site(plan, "P01", wells_of(plan, "empty")[0], 1)
    assert field.table.height == 0
    assert field.table.columns[:4] == [
        "Metadata_Plate",
        "Metadata_Well",
        "Metadata_Site",
        "Metadata_ObjectNumber",
    ]
    assert not field.nuclei.any()
    assert not field.cells.any()
    assert np.percentile(field.image[0], 99) < 2 * np.median(field.image[0])


def test_noise_variance_grows_with_the_signal():
    plan = SimulationPlan(size=256, seed=3)
    image = simulate_site(plan, "P01", wells_of(plan, "empty")[0], 1).image[0].astype(float)
    differences = (image[:, 1:] - image[:, :-1]).ravel()
    variance = 0.5 * np.median(np.abs(differences)) ** 2 * 1.4826**2
    signal = np.median(image) - 110
    assert variance == pytest.approx(2.2 * signal + 9.0**2, rel=0.1)


def test_pixel_goes_to_the_outline_it_is_deepest_in():
    circles = np.full((2, 72), 10.0, np.float32)
    y, x = np.array([15, 15], np.float32), np.array([10, 22], np.float32)
    nuclei, cells, _ = assign_pixels(y, x, 0.4 * circles, circles, 32)
    assert cells[15, 15] == 1
    assert cells[15, 17] == 2
    assert cells[0, 0] == 0
    assert nuclei[15, 10] == 1
    assert nuclei[15, 22] == 2
    assert nuclei[15, 15] == 0


def test_cell_with_its_nucleus_outside_the_field_loses_its_label():
    nuclei = np.zeros((8, 8), np.int32)
    nuclei[2:6, 2:6] = 2
    cells = np.where(nuclei > 0, 2, 0).astype(np.int32)
    cells[:, 7] = 1
    true_nuclei, true_cells, kept = true_labels(nuclei, cells, 2)
    assert kept.tolist() == [2]
    assert true_nuclei.max() == true_cells.max() == 1
    assert not true_cells[:, 7].any()


def test_smooth_outline_is_the_ellipse_it_was_asked_for():
    one = np.ones(1)
    shape = outlines(np.random.default_rng(0), 10 * one, 4 * one, 0 * one, 0 * one, (2, 6))
    assert shape[0, 0] == pytest.approx(20)
    assert shape[0, 18] == pytest.approx(5)
