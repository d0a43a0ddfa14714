"""Crops as Arrow rows, as an array on disk, and in random order."""

import errno
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenolake.errors import DiskFullError, TrainingDataError
from phenolake.lake import Lake
from phenolake.modeling import train_network
from phenolake.modeling.crop_sets import crop_pixels, crop_rows, map_crops, shuffled_batches
from phenolake.modeling.crops import Crops, cut_crops
from phenolake.stages.crop_sets import crop_shards, drawn_crops, open_crop_set, stored_crops
from phenolake.tables import SINGLE_CELL_CROPS

SCREEN = {"Metadata_Screen": "s"}


def rows(plate, crops, channels=("DNA", "ER"), well="A01"):
    keys = {
        "Metadata_Screen": "s",
        "Metadata_Batch": None,
        "Metadata_Plate": plate,
        "Metadata_Well": well,
        "Metadata_Site": 1,
    }
    return crop_rows(keys, Crops(crops, np.arange(1, len(crops) + 1, dtype=np.int32)), channels)


def cells(rng, count, channels=2, size=5):
    return rng.integers(0, 256, (count, channels, size, size)).astype(np.uint8)


@pytest.fixture
def lake(tmp_path, rng):
    """A lake with the crops of two plates, and those crops."""
    lake, crops = Lake(str(tmp_path / "lake")), {}
    for plate in ("P1", "P2"):
        crops[plate] = cells(rng, 7)
        where = {"Metadata_Screen": "s", "Metadata_Plate": plate}
        parts = [rows(plate, crops[plate][:3]), rows(plate, crops[plate][3:], well="A02")]
        lake.write(SINGLE_CELL_CROPS, iter(parts), where)
    return lake, crops


def test_pixels_come_back_from_the_lake_in_order(lake):
    lake, crops = lake
    read = list(stored_crops(lake, SCREEN))
    np.testing.assert_array_equal(
        np.concatenate([pixels for _, pixels in read]), np.concatenate([crops["P1"], crops["P2"]])
    )
    keys = pl.concat([keys for keys, _ in read])
    assert keys["Metadata_Well"].to_list() == 2 * (3 * ["A01"] + 4 * ["A02"])


def test_a_slice_of_a_batch_has_its_own_pixels(rng):
    crops = cells(rng, 6)
    (batch,) = rows("P", crops).to_batches()
    np.testing.assert_array_equal(crop_pixels(batch.slice(2, 3)), crops[2:5])
    assert crop_pixels(batch.slice(0, 0)).shape[0] == 0


def test_drawn_cells_keep_their_label_and_their_crop(lake):
    lake, crops = lake
    drawn = pl.DataFrame(
        {
            "Metadata_Plate": ["P2", "P1"],
            "Metadata_Well": ["A02", "A01"],
            "Metadata_Site": [1, 1],
            "Metadata_ObjectNumber": [2, 3],
            "label": ["x", "y"],
        },
        schema_overrides={"Metadata_Site": pl.Int32, "Metadata_ObjectNumber": pl.Int32},
    )
    keys, pixels = drawn_crops(lake, SCREEN, drawn)
    assert keys["label"].to_list() == ["y", "x"]
    np.testing.assert_array_equal(pixels, [crops["P1"][2], crops["P2"][4]])
    with pytest.raises(TrainingDataError, match="no cell has a label"):
        drawn_crops(lake, SCREEN, drawn.clear())


def test_a_mapped_set_is_copied_once_and_anew_when_the_table_changes(lake, tmp_path, rng):
    lake, crops = lake
    first = open_crop_set(lake, SCREEN, tmp_path / "maps")
    np.testing.assert_array_equal(first.pixels[7:], crops["P2"])
    assert first.channels == ("DNA", "ER")
    file = next((tmp_path / "maps").rglob("pixels.u8"))
    written = file.stat().st_mtime_ns
    assert len(open_crop_set(lake, SCREEN, tmp_path / "maps")) == 14
    assert file.stat().st_mtime_ns == written
    wanted = first.keys[[9, 2]]
    assert first.rows_of(wanted).tolist() == [9, 2]
    with pytest.raises(TrainingDataError, match="1 of 1 cells have no crop"):
        first.rows_of(wanted[:1].with_columns(Metadata_Plate=pl.lit("P9")))
    more = cells(rng, 2)
    where = {"Metadata_Screen": "s", "Metadata_Plate": "P2"}
    lake.write(SINGLE_CELL_CROPS, rows("P2", more), where)
    newer = open_crop_set(lake, SCREEN, tmp_path / "maps")
    np.testing.assert_array_equal(newer.pixels[7:], more)
    assert not file.exists()
    np.testing.assert_array_equal(first.pixels[7:], crops["P2"])


def test_a_network_trains_from_a_mapped_set_as_from_memory(disks, parts, tiny, tmp_path):
    crops, labels = disks
    mapped = map_crops(rows("P", crops).to_batches(), tmp_path / "set").pixels
    models = [
        train_network(source, labels, parts, model=tiny, epochs=1, device="cpu")
        for source in (mapped, crops)
    ]
    for name, value in models[0].state.items():
        np.testing.assert_array_equal(value, models[1].state[name])


@pytest.mark.parametrize(
    ("other", "channels"), [((3, 2, 6, 6), ("DNA", "ER")), ((3, 2, 5, 5), ("DNA", "AGP"))]
)
def test_crops_cut_in_two_ways_make_no_set(rng, tmp_path, other, channels):
    mixed = [rows("P1", cells(rng, 3)), rows("P2", np.zeros(other, np.uint8), channels)]
    batches = [batch for part in mixed for batch in part.to_batches()]
    with pytest.raises(TrainingDataError, match="same settings"):
        map_crops(batches, tmp_path / "set")
    with pytest.raises(TrainingDataError, match="same settings"):
        crop_pixels(pa.concat_tables(mixed).combine_chunks().to_batches()[0])
    with pytest.raises(TrainingDataError, match="there is no crop"):
        map_crops([], tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(rng, tmp_path, monkeypatch):
    def no_space(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", no_space)
    with pytest.raises(DiskFullError, match="disk is full"):
        map_crops(rows("P", cells(rng, 3)).to_batches(), tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=0, max_size=7), st.integers(1, 6), st.integers(1, 8))
def test_each_crop_is_met_once_an_epoch_with_its_own_pixels(sizes, at_once, batch_size):
    shards = [
        np.arange(100 * shard, 100 * shard + size, dtype=np.uint32)
        .view(np.uint8)
        .reshape(size, 1, 2, 2)
        for shard, size in enumerate(sizes)
    ]
    readers = [lambda part=part: part for part in shards]
    places = []
    for origin, pixels in shuffled_batches(readers, batch_size, seed=3, at_once=at_once):
        assert len(origin) <= batch_size
        places += [tuple(place) for place in origin]
        for (shard, row), crop in zip(origin, pixels, strict=True):
            np.testing.assert_array_equal(crop, shards[shard][row])
    assert sorted(places) == [(s, r) for s, size in enumerate(sizes) for r in range(size)]


def test_epochs_have_orders_of_their_own_that_mix_shards(lake):
    lake, crops = lake
    shards = crop_shards(lake, SCREEN)
    np.testing.assert_array_equal(np.concatenate([read() for read in shards])[:7], crops["P1"])
    orders = [
        np.concatenate([o for o, _ in shuffled_batches(shards, 5, epoch=epoch)]).tolist()
        for epoch in (1, 2, 1)
    ]
    assert orders[0] == orders[2] != orders[1]
    assert len({shard for shard, _ in orders[0][:7]}) == 2


def test_neighbours_are_masked_and_background_stays():
    image = np.full((1, 8, 8), 100, np.uint8)
    labels = np.zeros((8, 8), np.int32)
    labels[2:4, 2:4], labels[2:4, 5:7] = 1, 2
    one = cut_crops(image, labels, 8, cells=labels).pixels[0, 0]
    whole = cut_crops(image, labels, 8).pixels[0, 0]
    assert (whole > 0).sum() - (one > 0).sum() == 4
    assert one[4, 4] == 100


def test_windows_over_the_border_show_the_image_reflected_if_asked(rng):
    image = rng.integers(1, 256, (2, 9, 9)).astype(np.uint8)
    centre = np.array([[0.0, 8.0]])
    cut = cut_crops(image, centre, 6, border="reflect").pixels[0]
    padded = np.pad(image, ((0, 0), (3, 3), (3, 3)), mode="symmetric")
    np.testing.assert_array_equal(cut, padded[:, 0:6, 8:14])
    assert (cut_crops(image, centre, 6).pixels[0] == 0).any()
