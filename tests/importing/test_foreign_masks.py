"""Masks of other programs: one contract, and nothing that a file names is ever run."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from phenolake.errors import ConfigurationError, ImageReadError
from phenolake.importing import import_source
from phenolake.importing.cellpose_seg import read_cellpose_seg
from phenolake.importing.label_images import read_mask
from phenolake.importing.land import Options
from phenolake.importing.probability_maps import ProbabilityRule, labels_of_probabilities
from phenolake.importing.zarr_labels import zarr_label_images
from phenolake.lake import Lake, decode_labels


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def labels(dtype: type = np.uint16) -> np.ndarray:
    image = np.zeros((40, 60), dtype)
    image[5:15, 5:15], image[20:34, 30:50] = 3, 7
    return image


def seg_content(masks: np.ndarray) -> dict[str, object]:
    """What Cellpose writes: masks among outlines, flows, colours, numbers and texts."""
    return {
        "outlines": masks * 0,
        "colors": np.full((2, 3), 255, np.uint8),
        "masks": masks,
        "chan_choose": [0, 0],
        "ismanual": np.zeros(2, bool),
        "filename": "a.tif",
        "flows": [np.zeros((40, 60, 3), np.uint8), np.zeros((40, 60), np.float32), []],
        "diameter": np.float64(30.0),
        "est_diam": None,
    }


def object_file(path: Path, body: bytes) -> Path:
    """An object-array file whose pickle is `body`."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|O", "fortran_order": False, "shape": ()})
    path.write_bytes(head.getvalue() + body)
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint32, np.int64, ">u2"])
@pytest.mark.parametrize("fortran", [False, True])
def test_masks_of_a_cellpose_file_are_those_that_were_saved(tmp_path, dtype, fortran):
    masks = labels(np.dtype(dtype))
    masks = np.asfortranarray(masks) if fortran else masks
    np.save(tmp_path / "a_seg.npy", seg_content(masks))
    assert np.array_equal(read_cellpose_seg(tmp_path / "a_seg.npy"), labels())


@pytest.mark.parametrize("protocol", range(6))
def test_every_pickle_protocol_is_read(tmp_path, protocol):
    stored = np.array(seg_content(labels()), dtype=object)
    path = object_file(tmp_path / "a_seg.npy", pickle.dumps(stored, protocol))
    assert np.array_equal(read_cellpose_seg(path), labels())


def test_plain_array_files_need_no_pickle(tmp_path):
    np.save(tmp_path / "a_seg.npy", labels())
    assert np.array_equal(read_cellpose_seg(tmp_path / "a_seg.npy"), labels())


class Malicious:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        import os

        return os.system, (self.command,)


def by_name(module: str, name: str, argument: str) -> bytes:
    """A pickle that calls `module.name(argument)`, written by hand."""
    return (
        b"\x80\x04\x8c" + bytes([len(module)]) + module.encode()
        + b"\x8c" + bytes([len(name)]) + name.encode() + b"\x93"
        + b"\x8c" + bytes([len(argument)]) + argument.encode() + b"\x85R."
    )  # fmt: skip


def attacks(proof: Path) -> dict[str, bytes]:
    command = f"touch {proof}"
    content = {**seg_content(labels()), "extra": Malicious(command)}
    return {
        "a command among good masks": pickle.dumps(np.array(content, dtype=object)),
        "a command in the place of masks": pickle.dumps({"masks": Malicious(command)}),
        "old protocol": pickle.dumps({"masks": labels(), "x": Malicious(command)}, 0),
        "eval by name": by_name("builtins", "eval", f"open({str(proof)!r}, 'w')"),
        "attribute of an allowed module": by_name("numpy", "os.system", command),
        "instance opcode": b"(S'touch " + str(proof).encode() + b"'\nios\nsystem\n.",
        "extension registry": b"\x80\x02\x82\x01.",
        "persistent id": b"Pabc\n.",
        "huge memo index": b"\x80\x04N\x72\xff\xff\xff\xff.",
        "not a pickle": b"hello",
        "nothing": b"",
    }


@pytest.mark.parametrize("kind", list(attacks(Path("x"))))
def test_a_malicious_file_runs_nothing_and_is_refused_in_words(tmp_path, kind):
    proof = tmp_path / "proof"
    path = object_file(tmp_path / "a_seg.npy", attacks(proof)[kind])
    with pytest.raises(ImageReadError, match=r"a_seg\.npy"):
        read_cellpose_seg(path)
    assert not proof.exists()


def test_the_refusal_says_what_to_do(tmp_path):
    path = object_file(
        tmp_path / "a_seg.npy", pickle.dumps(np.array({"masks": Malicious("true")}, dtype=object))
    )
    with pytest.raises(ImageReadError, match="Save the masks as TIFF"):
        read_cellpose_seg(path)


@pytest.mark.parametrize(
    ("found", "put"), [(b"'|O', ", b"'|O',<a"), (b"(1,)", b"(-1,)"), (b"'|O'", b"'|V9")]
)
def test_a_header_that_is_no_header_is_one_error(tmp_path, found, put):
    np.save(tmp_path / "a_seg.npy", np.array([{"masks": labels()}], dtype=object))
    data = (tmp_path / "a_seg.npy").read_bytes()
    assert found in data
    (tmp_path / "a_seg.npy").write_bytes(data.replace(found, put, 1))
    with pytest.raises(ImageReadError):
        read_cellpose_seg(tmp_path / "a_seg.npy")


def test_an_array_larger_than_its_file_takes_no_memory(tmp_path):
    np.save(tmp_path / "a_seg.npy", labels())
    data = (tmp_path / "a_seg.npy").read_bytes()
    size = str(labels().shape[0]).encode()
    (tmp_path / "a_seg.npy").write_bytes(data.replace(b"(" + size, b"(" + b"9" * 15, 1))
    with pytest.raises(ImageReadError, match="truncated"):
        read_cellpose_seg(tmp_path / "a_seg.npy")


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cut=st.booleans())
def test_damaged_files_raise_one_error(tmp_path_factory, seed, cut):
    folder = tmp_path_factory.getbasetemp()
    stored = pickle.dumps(np.array(seg_content(labels()), dtype=object))
    rng = np.random.default_rng(seed)
    data = bytearray(stored)
    if cut:
        data = data[: rng.integers(len(data))]
    # Most bytes are pixels; the first few hundred hold the structure.
    for place in rng.integers(0, max(1, min(len(data), 600)), 3):
        if place < len(data):
            data[place] = rng.integers(256)
    path = object_file(folder / f"{seed}_seg.npy", bytes(data))
    try:
        assert read_cellpose_seg(path).ndim == 2
    except ImageReadError:
        pass
    finally:
        path.unlink()


def write_zarr_plate(folder: Path, names: tuple[str, ...] = ("nuclei", "cells")) -> None:
    import zarr

    def attributes(place: Path, value: dict) -> None:
        place.mkdir(parents=True, exist_ok=True)
        (place / ".zattrs").write_text(json.dumps(value))
        (place / ".zgroup").write_text('{"zarr_format": 2}')

    attributes(folder, {"plate": {"rows": [], "columns": [], "wells": []}})
    attributes(folder / "B" / "3", {"well": {"images": [{"path": "0"}, {"path": "1"}]}})
    for field in ("0", "1"):
        place = folder / "B" / "3" / field
        attributes(place, {"multiscales": []})
        attributes(place / "labels", {"labels": list(names)})
        for name in names:
            attributes(place / "labels" / name, {"multiscales": [{"datasets": [{"path": "0"}]}]})
            zarr.create_array(
                str(place / "labels" / name / "0"), data=labels(np.int32), zarr_format=2
            )


def test_labels_of_an_ome_zarr_plate_keep_well_and_site(tmp_path, lake):
    write_zarr_plate(tmp_path / "P7.zarr")
    masks, objects = import_source(lake, tmp_path / "P7.zarr", "S")
    assert masks.problems == ()
    assert masks.key.plate == "P7"
    rows = lake.read("segmentation_masks").filter(pl.col("compartment") == "Nuclei")
    assert rows.select("Metadata_Well", "Metadata_Site").rows() == [("B03", 1), ("B03", 2)]
    got = decode_labels(rows["labels"][0], (40, 60), rows["codec"][0])
    assert np.array_equal(got, labels())
    assert objects.commit.rows == 2 * 2 * 2


def test_a_label_path_longer_than_any_name_is_no_label(tmp_path):
    write_zarr_plate(tmp_path / "P.zarr", ("nuclei",))
    label = tmp_path / "P.zarr" / "B" / "3" / "0" / "labels" / "nuclei"
    long = {"multiscales": [{"datasets": [{"path": "0" * 5000}]}]}
    (label / ".zattrs").write_text(json.dumps(long))
    names = [name for name, _ in zarr_label_images(tmp_path / "P.zarr")]
    assert names == ["B/3/2/labels/nuclei"]


def test_a_mask_without_pixels_is_reported_and_the_others_imported(tmp_path, lake):
    np.save(tmp_path / "B03_s1_nuclei_seg.npy", seg_content(np.zeros((0, 60), np.int32)))
    np.save(tmp_path / "B03_s2_nuclei_seg.npy", seg_content(labels()))
    masks, _ = import_source(lake, tmp_path, "S")
    assert [p.problem for p in masks.problems] == ["unreadable_mask"]
    assert lake.read("segmentation_masks")["Metadata_Site"].unique().to_list() == [2]


def test_a_label_path_that_leaves_the_store_is_not_read(tmp_path, lake):
    write_zarr_plate(tmp_path / "P.zarr", ("nuclei",))
    outside = tmp_path / "P.zarr" / "B" / "3" / "0" / "labels" / "nuclei" / ".zattrs"
    outside.write_text(json.dumps({"multiscales": [{"datasets": [{"path": "../../../../../x"}]}]}))
    imported, _ = import_source(lake, tmp_path / "P.zarr", "S", "masks")
    assert imported.commit.rows == 1


def probabilities() -> np.ndarray:
    """Two touching discs and one apart, float32 (y, x, class)."""
    y, x = np.mgrid[:60, :80]
    inside = np.zeros((60, 80), bool)
    for cy, cx in ((20, 20), (20, 36), (40, 65)):
        inside |= (y - cy) ** 2 + (x - cx) ** 2 <= 81
    first = np.where(inside, 0.9, 0.1).astype(np.float32)
    return np.stack((first, 1 - first), axis=-1)


@pytest.mark.parametrize("suffix", [".npy", ".tif", ".tiff", ".h5"])
@pytest.mark.parametrize("classes_first", [False, True])
def test_probability_maps_are_thresholded_and_split(tmp_path, suffix, classes_first):
    stack = probabilities()
    stack = np.moveaxis(stack, -1, 0) if classes_first else stack
    path = tmp_path / f"A01_s1_nuclei_Probabilities{suffix}"
    if suffix == ".npy":
        np.save(path, stack)
    elif suffix == ".h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            file["exported_data"] = stack
    else:
        tifffile.imwrite(path, stack)
    found = read_mask(path)
    assert found.max() == 3
    assert np.array_equal(found > 0, probabilities()[..., 0] > 0.5)
    other = labels_of_probabilities(path, ProbabilityRule(foreground=2))
    assert other[0, 0] > 0
    assert other[20, 20] == 0


def test_impossible_probability_maps_are_refused(tmp_path):
    path = tmp_path / "a_Probabilities.npy"
    for bad, words in (
        (np.full((5, 6, 2), 7.0), "no probabilities"),
        (np.zeros((50, 60, 40)), "no probability map"),
        (np.zeros((50, 60, 2), np.int16), "no probability map"),
        (np.array({"a": 1}, dtype=object), "can't be read"),
    ):
        np.save(path, bad)
        with pytest.raises(ImageReadError, match=words):
            labels_of_probabilities(path, ProbabilityRule())
    np.save(path, np.full((5, 6, 2), np.nan))
    assert not labels_of_probabilities(path, ProbabilityRule()).any()
    with pytest.raises(ImageReadError, match="no class 3"):
        labels_of_probabilities(path, ProbabilityRule(foreground=3))
    with pytest.raises(ConfigurationError):
        ProbabilityRule(threshold=1.5)


def test_masks_numbered_apart_are_joined_and_orphans_reported(tmp_path, lake):
    folder = tmp_path / "masks"
    folder.mkdir()
    nuclei, cells = np.zeros((30, 60), np.uint16), np.zeros((30, 60), np.uint16)
    nuclei[8:12, 8:12], nuclei[8:12, 28:32] = 1, 2
    cells[4:16, 24:36], cells[20:28, 40:50] = 1, 2
    np.save(folder / "A01_s1_nuclei_seg.npy", seg_content(nuclei))
    tifffile.imwrite(folder / "A01_s1_cells_mask.tif", cells)
    masks, objects = import_source(lake, folder, "S", options=Options(plate="P"))
    (problem,) = masks.problems
    assert problem.problem == "masks_renumbered"
    assert "1 nuclei without a cell, 1 cells without a nucleus" in problem.got
    rows = lake.read("objects")
    assert objects.commit.rows == rows.height
    orphans = rows.filter("is_orphan").sort("compartment")
    assert orphans["compartment"].to_list() == ["Cells", "Nuclei"]
    linked = rows.filter((pl.col("compartment") == "Nuclei") & ~pl.col("is_orphan"))
    assert linked["parent_number"].to_list() == linked["Metadata_ObjectNumber"].to_list()
    assert rows["mean_intensity"].is_null().all()


def test_masks_of_different_shapes_are_not_joined(tmp_path, lake):
    folder = tmp_path / "masks"
    folder.mkdir()
    tifffile.imwrite(folder / "A01_s1_nuclei_mask.tif", labels())
    tifffile.imwrite(folder / "A01_s1_cells_mask.tif", labels()[:30])
    imported, _ = import_source(lake, folder, "S", options=Options(plate="P"))
    assert [p.problem for p in imported.problems] == ["masks_differ_in_shape"]
    assert lake.read("segmentation_masks")["compartment"].to_list() == ["Nuclei"]
