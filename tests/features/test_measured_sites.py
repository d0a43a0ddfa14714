"""A plate's measurement goes on where a killed run stopped, and only with the same inputs."""

import math
import pickle

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from phenolake.compute import LocalCompute
from phenolake.images.planes import Problem
from phenolake.images.sites import Site
from phenolake.lake import CODEC, Lake, encode_labels
from phenolake.stages.cells import MeasureSite, Outcome, PackedMasks, measure_plate
from phenolake.stages.measured_sites import Measured, MeasuredSites


@pytest.fixture
def tasks(tmp_path):
    import tifffile

    rng = np.random.default_rng(0)
    made = []
    for number in range(1, 5):
        uri = tmp_path / f"{number}.tif"
        tifffile.imwrite(uri, rng.integers(100, 60000, (40, 48)).astype(np.uint16))
        labels = np.zeros((40, 48), np.int32)
        labels[5:15, 5:15], labels[20:33, 20:40] = 1, 2
        site = Site("S", None, "P", "A01", number, ("DNA",), (((str(uri), 0),),))
        made.append((site, PackedMasks(labels.shape, CODEC, {"Nuclei": encode_labels(labels)})))
    return made


@pytest.fixture
def kept(tmp_path):
    return MeasuredSites.of_plate(Lake(str(tmp_path / "tables")), "S__P")


def run(tasks, kept, families="fast", stop_after=None):
    outcome = Outcome()
    measure = MeasureSite.prepared(families, None, None, kept)
    tables = []
    for table in measure_plate(tasks, measure, LocalCompute(1), outcome):
        tables.append(table)
        if len(tables) == stop_after:
            break
    return pl.from_arrow(pa.concat_tables(tables)), outcome


def test_a_second_run_measures_only_what_the_first_did_not(tasks, kept):
    run(tasks, kept, stop_after=2)
    cells, outcome = run(tasks, kept)
    assert (outcome.sites, outcome.resumed) == (4, 2)
    fresh, _ = run(tasks, MeasuredSites(kept.folder / "other"))
    assert cells.equals(fresh)


def test_other_features_masks_or_images_are_measured_anew(tasks, kept):
    import tifffile

    run(tasks, kept)
    assert run(tasks, kept, "AreaShape")[1].resumed == 0
    site, masks = tasks[0]
    other = np.ones((40, 48), np.int32)
    changed = PackedMasks(masks.shape, masks.codec, {"Nuclei": encode_labels(other)})
    assert run([(site, changed)], kept)[1].resumed == 0
    tifffile.imwrite(site.planes[0][0][0], np.full((40, 48), 7, np.uint8))
    assert run([tasks[0]], kept)[1].resumed == 0


def test_a_file_that_was_cut_short_is_measured_again(tasks, kept):
    cells, _ = run(tasks, kept)
    for file in kept.folder.iterdir():
        file.write_bytes(file.read_bytes()[:-40])
    again, outcome = run(tasks, kept)
    assert outcome.resumed == 0
    assert again.equals(cells)


def test_nothing_is_left_once_the_plate_is_committed(tasks, kept):
    run(tasks, kept)
    kept.clear()
    assert not kept.folder.exists()
    kept.clear()


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_cells_travel_between_processes_as_one_buffer(protocol: int) -> None:
    rows = {f"Cells_Texture_{i}": pa.array([1.5, None, math.nan], pa.float32()) for i in range(50)}
    cells = pa.table({"Metadata_Well": ["A01"] * 3, **rows})
    buffers: list[pickle.PickleBuffer] = []
    aside = buffers.append if protocol >= 5 else None
    sent = pickle.dumps(Measured(cells, resumed=True), protocol, buffer_callback=aside)
    got = pickle.loads(sent, buffers=buffers)
    assert got.resumed
    assert pl.DataFrame(got.outcome).equals(pl.DataFrame(cells))
    assert got.outcome.schema == cells.schema
    assert len(buffers) == (1 if protocol >= 5 else 0)


def test_a_problem_travels_as_it_is() -> None:
    problem = Problem("unreadable_image", "Copy it again.", well="A01")
    assert pickle.loads(pickle.dumps(Measured(problem))) == Measured(problem)
