"""What `fuzz_readers.py` damages and reads: a small sound input of every format, and its parser."""

from __future__ import annotations

import gzip
import io
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import openpyxl
import polars as pl
import tifffile

from importing import exports
from phenolake.errors import PhenolakeError
from phenolake.identity import PlateKey
from phenolake.images.catalog import catalogue_plate
from phenolake.images.pixels import read_plane
from phenolake.importing import import_source
from phenolake.importing.land import Options
from phenolake.lake import Lake
from phenolake.screens.completeness import list_folder, parse_manifest, wrong_checksums
from phenolake.screens.config import ScreenConfig, load_screen_config
from phenolake.screens.discover import Plate, Screen
from phenolake.screens.plate_map import read_plate_map
from readers import layouts


def metamorph(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "x_A01_s1_w1DAPI.tif"
    tifffile.imwrite(path, layouts.pixels(), metadata=None, software="MetaMorph 7")
    # Turn one harmless tag (software, 305) into a UIC2 tag of one plane.
    content = path.read_bytes().replace(struct.pack("<HH", 305, 2), struct.pack("<HH", 33629, 5), 1)
    path.write_bytes(content)
    return folder


def ome_tiff(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    stack = np.stack([layouts.pixels(n) for n in range(6)]).reshape(
        2, 3, layouts.SIZE, layouts.SIZE
    )
    metadata = {
        "axes": "CZYX",
        "Channel": {"Name": ["DAPI", "GFP"]},
        "PhysicalSizeX": 0.5,
        "PhysicalSizeXUnit": "µm",
    }
    tifffile.imwrite(folder / "scan_B07_s4_.ome.tif", stack, metadata=metadata)
    return folder


def names(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("A01_s1_w1_DNA.tif", "A02_s1_w1_DNA.tif", "B02_s1_w1_DNA.png"):
        if name.endswith("png"):
            (folder / name).write_bytes(imagecodecs.png_encode(layouts.pixels()))
        else:
            tifffile.imwrite(
                folder / name, np.stack([layouts.pixels()] * 2), compression="zlib", imagej=False
            )
    return folder


def load_data(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(folder / "a.tif", layouts.pixels())
    row = {
        "Metadata_Plate": "P1",
        "Metadata_Well": "A01",
        "Metadata_Site": "1",
        "FileName_DNA": "a.tif",
        "PathName_DNA": "/x/y",
    }
    return layouts.load_data(folder, [row, {**row, "Metadata_Well": "A02"}])


def cellomics(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    layouts.c01(folder / "x_A01f00d0.c01")
    return folder


def table_map(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "platemap.csv").write_text(
        "well,compound,dose (nM),control,note\nA01,x,5,negcon,a\nB02,y,7,trt,b\n"
    )
    return folder


def _grid() -> list[list[str]]:
    rows = [[letter, *["3 nM"] * 12] for letter in "ABCDEFGH"]
    return [["dose"], ["", *map(str, range(1, 13))], *rows]


def grid_map(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "platemap.csv").write_text("\n".join(map(",".join, _grid())))
    return folder


def book_map(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    for line in _grid():
        book.active.append(line)  # type: ignore[union-attr]
    table = book.create_sheet("table")
    for line in (["well", "compound"], ["A01", "x"], ["B02", "y"]):
        table.append(line)
    book.save(folder / "platemap.xlsx")
    return folder


def assay_layout(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    well = "<Well><Row>1</Row><Col>1</Col><Value>x</Value></Well>"
    layer = f"<Layer><Name>Compound</Name><ValueType>String</ValueType>{well}</Layer>"
    dose = layer.replace("Compound", "Concentration").replace(">x<", ">1.5<")
    (folder / "platemap.xml").write_text(f"<AssayLayout>{layer}{dose}</AssayLayout>")
    return folder


def jump_pair(folder: Path) -> Path:
    (folder / "platemap").mkdir(parents=True, exist_ok=True)
    (folder / "barcode_platemap.csv").write_text(
        "Assay_Plate_Barcode,Plate_Map_Name\nP1,map_a\nP2,map_b\n"
    )
    for name in ("map_a", "map_b"):
        (folder / "platemap" / f"{name}.txt").write_text(
            "well_position\tbroad_sample\tmmoles_per_liter\tpert_type\n"
            "A01\tBRD-1\t0.5\ttrt\nB02\tDMSO\t\tcontrol\n"
        )
    return folder


def cellprofiler_csv(folder: Path) -> Path:
    exports.write_folder(folder / "A01-1")
    exports.write_folder(folder / "B02-1", ".csv.gz")
    return folder


def cellprofiler_sqlite(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    exports.write_database(folder / "one.sqlite", per=False)
    exports.write_database(folder / "two.sqlite", per=True)
    return folder


def profiles(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "Metadata_Plate": ["P1"] * 4,
            "Metadata_Well": ["A01", "A02", "B01", "B02"],
            "Metadata_broad_sample": ["x", "y", None, "x"],
            "Metadata_mmoles_per_liter": [0.1, 1.0, None, 3.0],
            "Metadata_Count_Cells": [5, 6, 7, 8],
            "Cells_AreaShape_Area": [10.0, 11, 12, 13],
            **{f"Nuclei_Texture_{i}": rng.normal(size=4) for i in range(12)},
        }
    )
    frame.write_parquet(folder / "P1_augmented.parquet")
    text = frame.with_columns(pl.lit("P2").alias("Metadata_Plate")).write_csv()
    (folder / "P2_normalized.csv.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    return folder


def label_images(folder: Path) -> Path:
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    labels = np.zeros((24, 24), np.uint16)
    labels[2:9, 3:9], labels[12:20, 10:20] = 1, 2
    tifffile.imwrite(folder / "masks" / "A01_s1_nuclei.tif", labels)
    tifffile.imwrite(folder / "masks" / "A01_s1_cells.tif", labels, compression="zlib")
    (folder / "masks" / "B02_s1_nuclei.png").write_bytes(
        imagecodecs.png_encode(labels.astype(np.uint8))
    )
    return folder


def foreign_masks(folder: Path) -> Path:
    """Cellpose's file, an ilastik map and OME-Zarr labels."""
    import zarr

    (folder / "masks").mkdir(parents=True, exist_ok=True)
    labels = np.zeros((24, 24), np.uint16)
    labels[2:9, 3:9], labels[12:20, 10:20] = 1, 2
    stored = np.array({"masks": labels, "filename": "A01.tif"}, dtype=object)
    np.save(folder / "masks" / "A01_s1_nuclei_seg.npy", stored)
    chance = np.stack([labels > 0, labels == 0], axis=-1).astype(np.float32)
    np.save(folder / "masks" / "A02_s1_nuclei_Probabilities.npy", chance)
    place = folder / "masks" / "B03_s1.zarr"
    label = place / "labels" / "cells"
    zarr.save_array(str(label / "0"), labels.astype(np.int32), zarr_format=2)
    for group, text in {
        place: "{}",
        place / "labels": '{"labels": ["cells"]}',
        label: '{"multiscales": [{"datasets": [{"path": "0"}]}]}',
    }.items():
        (group / ".zgroup").write_text('{"zarr_format": 2}')
        (group / ".zattrs").write_text(text)
    return folder


def screen_files(folder: Path) -> Path:
    names(folder / "P1")
    (folder / "screen.yaml").write_text(
        "preset: nuclear_translocation\nimages: P1\nchannels: {w1: DNA}\nplate_map:\n"
        "  file: platemap.csv\n  rows: {A-D: x}\nquality: {exclude: [blurred]}\n"
    )
    (folder / "P1" / "_MANIFEST").write_text("A01_s1_w1_DNA.tif,100,1a2b3c4d\nx y.tif 3\n")
    return folder


def read_images(name: str) -> Callable[[Path, Path], list[str]]:
    """Catalogue a folder as it is found and by one reader; the paths of its planes."""

    def read(folder: Path, _: Path) -> list[str]:
        screen = Screen.open(folder, name="s")
        uris: list[str] = []
        for plate in [*screen.plates(), Plate(PlateKey("s", "forced"), folder)]:
            is_forced = plate.key.plate == "forced"
            own = screen.config.model_copy(update={"reader": name} if is_forced else {})
            try:
                found = catalogue_plate(Screen(folder, own), plate)
            except PhenolakeError:
                continue
            assert all(p.sentence("p").encode() for p in found.problems)
            found.rows.write_parquet(io.BytesIO())
            for uri, index in found.rows.select("uri", "index_in_file").head(4).iter_rows():
                try:
                    read_plane(Path(uri), index)
                except PhenolakeError:
                    continue
            uris += found.rows["uri"].to_list()
        return uris

    return read


def read_map(file: str) -> Callable[[Path, Path], list[str]]:
    """Read a plate map of every plate it names."""

    def read(folder: Path, _: Path) -> list[str]:
        screen = Screen(folder, ScreenConfig(name="s", plate_map={"file": file}))  # type: ignore[arg-type]
        for plate in ("P1", "P2"):
            found = read_plate_map(screen, PlateKey("s", plate), ["A01", "B02"])
            assert all(p.sentence("p").encode() for p in found.problems)
        return []

    return read


def read_import(kind: str) -> Callable[[Path, Path], list[str]]:
    """Import a folder into a lake, and read back what landed."""

    def read(folder: Path, work: Path) -> list[str]:
        shutil.rmtree(work / "lake", ignore_errors=True)
        lake = Lake(str(work / "lake"))
        uris = []
        for imported in import_source(lake, folder, "S", kind, Options()):
            uris += [problem.uri for problem in imported.problems if problem.uri]
            assert all(p.sentence("p").encode() for p in imported.problems)
            lake.read(imported.commit.table, imported.key.where)
        return [uri.partition("::")[0] for uri in uris]

    return read


def read_screen(folder: Path, _: Path) -> list[str]:
    """Read `screen.yaml`, find its plates, and check its manifest."""
    load_screen_config(folder / "screen.yaml", "s")
    screen = Screen.open(folder)
    for plate in screen.plates():
        wrong_checksums(plate.folder, parse_manifest(list_folder(plate.folder).manifest))
    return [str(plate.folder) for plate in screen.plates()]


@dataclass(frozen=True)
class Format:
    """How to write a sound input, and how it is read: (folder, work) -> paths that it named."""

    write: Callable[[Path], Path]
    read: Callable[[Path, Path], list[str]]


_READERS: dict[str, Callable[[Path], Path]] = {
    "operetta": layouts.harmony,
    "cellvoyager": layouts.cellvoyager,
    "imagexpress": layouts.imagexpress,
    "ome_zarr": layouts.ome_zarr,
    "load_data": load_data,
    "ome_tiff": ome_tiff,
    "metamorph": metamorph,
    "cellomics": cellomics,
    "filename_pattern": names,
}
FORMATS = {
    **{name: Format(write, read_images(name)) for name, write in _READERS.items()},
    "plate_map_csv": Format(table_map, read_map("platemap.csv")),
    "plate_map_grid": Format(grid_map, read_map("platemap.csv")),
    "plate_map_xlsx": Format(book_map, read_map("platemap.xlsx")),
    "plate_map_jump": Format(jump_pair, read_map("barcode_platemap.csv")),
    "assay_layout": Format(assay_layout, read_map("platemap.xml")),
    "cellprofiler_csv": Format(cellprofiler_csv, read_import("cellprofiler_csv")),
    "cellprofiler_sqlite": Format(cellprofiler_sqlite, read_import("cellprofiler_sqlite")),
    "profiles": Format(profiles, read_import("profiles")),
    "label_images": Format(label_images, read_import("masks")),
    "foreign_masks": Format(foreign_masks, read_import("masks")),
    "screen_yaml": Format(screen_files, read_screen),
}
