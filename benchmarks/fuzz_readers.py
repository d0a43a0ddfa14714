"""Mutate folders of every format and read them: `python benchmarks/fuzz_readers.py --minutes 1`.

A crash is any exception that is not ours, a hang is more than ten seconds for one folder, an
escape is a plane whose file lies outside the folder. Findings are printed with their seed; exit 1.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT / "tests")]

import numpy as np  # noqa: E402
import openpyxl  # noqa: E402
import tifffile  # noqa: E402

from phenolake.errors import PhenolakeError  # noqa: E402
from phenolake.identity import PlateKey  # noqa: E402
from phenolake.images.catalog import catalogue_plate  # noqa: E402
from phenolake.images.pixels import read_plane  # noqa: E402
from phenolake.screens.config import ScreenConfig  # noqa: E402
from phenolake.screens.discover import Plate, Screen  # noqa: E402
from phenolake.screens.plate_map import read_plate_map  # noqa: E402
from readers import layouts  # noqa: E402

HANG_S = 10
MEMORY_MB = 3000
SPICE = [
    *(
        b"../../../etc/passwd",
        b"/etc/passwd",
        b"C:\\x",
        b"file:///etc/passwd",
        b"%s%n",
        b"\x00",
        b"\xff\xfe",
    ),
    *(
        b"-1",
        b"0",
        b"99999999999999999999",
        b"1e999",
        b"nan",
        b"2147483648",
        b"true",
        b"null",
        b"{}",
        b"[]",
    ),
    *(
        b"<!DOCTYPE x [<!ENTITY a 'a'>]>",
        b"&a;",
        b"]]>",
        b"<a>" * 200,
        b"\xef\xbb\xbf",
        b'"',
        b",",
        b";",
        b"\r\n",
    ),
    *(b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", "Ünï".encode()),
]


def metamorph(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    import struct

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
            import imagecodecs

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


def plate_maps(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    grid = "\n".join(
        [
            ",".join(["", *map(str, range(1, 13))]),
            *(f"{r}," + ",".join(["3 nM"] * 12) for r in "ABCDEFGH"),
        ]
    )
    (folder / "table.csv").write_text(
        "well,compound,dose (nM),control\nA01,x,5,negcon\nB02,y,7,trt\n"
    )
    (folder / "grid.csv").write_text("dose\n" + grid)
    layer = (
        "<Layer><Name>Compound</Name><Well><Row>1</Row><Col>1</Col><Value>x</Value></Well></Layer>"
    )
    (folder / "layout.xml").write_text(f"<AssayLayout>{layer}</AssayLayout>")
    (folder / "barcode_platemap.csv").write_text("Assay_Plate_Barcode,Plate_Map_Name\nP1,table\n")
    book = openpyxl.Workbook()
    for line in grid.split("\n"):
        book.active.append(line.split(","))  # type: ignore[union-attr]
    book.save(folder / "book.xlsx")
    return folder


FORMATS: dict[str, Callable[[Path], Path]] = {
    "operetta": layouts.harmony,
    "cellvoyager": layouts.cellvoyager,
    "imagexpress": layouts.imagexpress,
    "ome_zarr": layouts.ome_zarr,
    "load_data": load_data,
    "ome_tiff": ome_tiff,
    "metamorph": metamorph,
    "cellomics": cellomics,
    "filename_pattern": names,
    "plate_map": plate_maps,
}


def mutate(folder: Path, rng: random.Random) -> None:
    """Damage one to three files, small ones (indexes) more often than pixels."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(files)
        kind = rng.random()
        if kind < 0.06:
            path.unlink(missing_ok=True)
            continue
        if kind < 0.1 and path.exists():
            path.unlink()
            path.symlink_to(rng.choice([Path("/etc/passwd"), folder, path]))
            continue
        if not path.is_file() or path.is_symlink():
            continue
        content = bytearray(path.read_bytes())
        for _ in range(rng.choice((1, 1, 2, 5, 20))):
            at = rng.randrange(len(content) + 1)
            # Headers and indexes stand at the start: damage there finds more.
            at = min(at, rng.choice((64, 512, 4096, len(content))))
            match rng.randrange(6):
                case 0:
                    content[at : at + 1] = bytes([rng.randrange(256)])
                case 1:
                    content[at : at + rng.randrange(40)] = b""
                case 2:
                    content[at:at] = rng.choice(SPICE)
                case 3:
                    content = content[:at]
                case 4:
                    piece = content[at : at + rng.randrange(200)]
                    content[at:at] = piece * rng.randrange(1, 20)
                case 5:
                    spice = rng.choice(SPICE)
                    content[at : at + len(spice)] = spice
        path.write_bytes(content)


def read(name: str, folder: Path) -> list[str]:
    """Paths of the planes found; every error of ours is a proper end."""
    if name == "plate_map":
        for file in ("table.csv", "grid.csv", "layout.xml", "barcode_platemap.csv", "book.xlsx"):
            screen = Screen(folder, ScreenConfig(name="s", plate_map={"file": file}))  # type: ignore[arg-type]
            try:
                read_plate_map(screen, PlateKey("s", "P1"), ["A01", "B02"])
            except PhenolakeError:
                continue
        return []
    screen = Screen.open(folder, name="s")
    uris: list[str] = []
    plates = [*screen.plates(), Plate(PlateKey("s", "forced"), folder)]
    for plate in plates:
        forced = (
            screen.config.model_copy(update={"reader": name})
            if plate.key.plate == "forced"
            else screen.config
        )
        try:
            found = catalogue_plate(Screen(folder, forced), plate)
        except PhenolakeError:
            continue
        assert all(p.sentence("p").encode() for p in found.problems)
        found.rows.write_parquet(folder.parent / "rows.parquet")
        for uri, index in found.rows.select("uri", "index_in_file").head(4).iter_rows():
            try:
                read_plane(Path(uri), index)
            except PhenolakeError:
                continue
        uris += found.rows["uri"].to_list()
    return uris


def one(name: str, template: Path, seed: int, work: Path) -> str | None:
    """What went wrong with one mutated folder, if anything did."""
    folder = work / "screen"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)
    mutate(folder, random.Random(seed))
    signal.alarm(HANG_S)
    try:
        uris = read(name, folder)
    except TimeoutError:
        return f"hang of more than {HANG_S} s"
    except PhenolakeError:
        return None
    except MemoryError:
        return "out of memory"
    except Exception:
        return "crash\n" + traceback.format_exc(limit=-4)
    finally:
        signal.alarm(0)
    outside = [uri for uri in uris if not Path(uri).resolve().is_relative_to(folder.resolve())]
    return f"escape to {outside[0]}" if outside else None


def _too_long(*_: object) -> None:
    raise TimeoutError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="minutes per format")
    parser.add_argument("--readers", nargs="+", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="run one seed and show it")
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (2 * MEMORY_MB * 1024**2, resource.RLIM_INFINITY))
    signal.signal(signal.SIGALRM, _too_long)
    findings = 0
    for name in given.readers:
        with tempfile.TemporaryDirectory() as folder:
            template = FORMATS[name](Path(folder) / "template")
            start, seed, wrong = time.monotonic(), given.seed, 0
            seen: set[str] = set()
            while time.monotonic() - start < 60 * given.minutes:
                result = one(
                    name, template, given.only if given.only is not None else seed, Path(folder)
                )
                if result is not None:
                    wrong += 1
                    if result not in seen:
                        seen.add(result)
                        print(f"{name} seed {seed}: {result}", flush=True)
                seed += 1
                if given.only is not None:
                    break
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{name}: {seed - given.seed:,} folders, {wrong} findings, peak so far {peak:,.0f} MB",
                flush=True,
            )
            findings += wrong
    sys.exit(int(findings > 0))


if __name__ == "__main__":
    main()
