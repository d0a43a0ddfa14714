"""Time of the explorer's pages and pictures on a plate of 384 wells, in processor seconds.

`python benchmarks/pages.py` makes a lake of one plate with 384 wells of 4 sites (1080 x 1080, two
channels), 800 features and masks, and asks the application in its own process: first with nothing
read yet, then again. A machine with other work has no honest wall time; processor time it has.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import tifffile

from phenolake.explorer.links import image_link, montage_link, plate_link, screen_link, well_link
from phenolake.identity import wells_of_format
from phenolake.lake import Lake, encode_labels
from phenolake.service.app import application
from phenolake.tables import TABLES

SCREEN, PLATE, SITES, SIZE, FEATURES = "S", "P", 4, 1080, 800
WHERE = {"Metadata_Screen": SCREEN, "Metadata_Plate": PLATE}
SHOWN = "C05"  # the one well whose images exist


def make_lake(folder: Path) -> Lake:
    rng = np.random.default_rng(0)
    lake = Lake(str(folder / "tables"))
    files = {}
    for channel in ("DNA", "GFP"):
        for site in range(1, SITES + 1):
            files[channel, site] = str(folder / f"{channel}{site}.tif")
            pixels = rng.poisson(2000, (SIZE, SIZE)).astype(np.uint16)
            tifffile.imwrite(files[channel, site], pixels)
    labels = np.zeros((SIZE, SIZE), np.int32)
    for number, (y, x) in enumerate(np.ndindex(14, 14), 1):
        labels[77 * y : 77 * y + 40, 77 * x : 77 * x + 40] = number
    packed = encode_labels(labels)
    names = [well.name for well in wells_of_format(384)]
    catalog, quality, masks = [], [], []
    for well in names:
        for site in range(1, SITES + 1):
            sited = {**WHERE, "Metadata_Well": well, "Metadata_Site": site}
            for channel in ("DNA", "GFP"):
                catalog.append(
                    sited | {
                        "channel": channel, "z": 0, "t": 0, "uri": files[channel, site],
                        "index_in_file": 0, "height": SIZE, "width": SIZE, "dtype": "uint16",
                        "bytes": 1, "pixel_size_um": 0.5, "source_format": "filename_pattern",
                    }
                )  # fmt: skip
                quality.append(
                    sited | {"channel": channel, "background": 0.01, "p99_intensity": 0.04}
                )
            masks.append(
                sited | {
                    "compartment": "Nuclei", "labels": packed, "codec": "labels-zstd-1",
                    "height": SIZE, "width": SIZE, "object_count": 196, "method": "classical",
                }
            )  # fmt: skip
    profiles = pl.DataFrame(
        {
            "Metadata_Screen": SCREEN, "Metadata_Plate": PLATE, "Metadata_Well": names,
            "Metadata_CellCount": rng.integers(500, 900, len(names)),
            "Metadata_Perturbation": [f"c{i}" for i in range(len(names))],
            **{f"Cells_AreaShape_F{i}": rng.normal(size=len(names)) for i in range(FEATURES)},
        }
    )  # fmt: skip
    corrected = profiles.with_columns(pl.lit("none").alias("Metadata_Correction"))
    lake.write(TABLES["raw_image_catalog"], pl.DataFrame(catalog), WHERE)
    lake.write(TABLES["image_quality"], pl.DataFrame(quality), WHERE)
    lake.write(TABLES["segmentation_masks"], pl.DataFrame(masks), WHERE)
    lake.write(TABLES["well_profiles"], profiles, WHERE)
    lake.write(TABLES["batch_corrected_profiles"], corrected, {"Metadata_Screen": SCREEN})
    return lake


def ask(app: object, path: str) -> tuple[int, int]:
    """Status and bytes of one request."""
    path, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "",
        "query_string": query.encode(), "client": ("b", 1), "server": ("localhost", 80),
        "headers": [(b"host", b"localhost")],
    }  # fmt: skip
    sent: list[dict] = []
    first = iter([True])

    async def receive() -> dict:
        if not next(first, False):
            await asyncio.sleep(3600)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], sum(len(m.get("body", b"")) for m in sent)


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    views = {
        "screen of 384 wells": screen_link(SCREEN),
        "plate of 384 wells": plate_link(SCREEN, PLATE, column="Cells_AreaShape_F7"),
        "well page": well_link(SCREEN, PLATE, SHOWN),
        "well's montage, 4 sites": montage_link(SCREEN, PLATE, SHOWN, edge=900),
        "site with outlines": image_link(SCREEN, PLATE, SHOWN, 1, outlines="Nuclei"),
        "map of 384 profiles": screen_link(SCREEN, "map", colour="Metadata_Perturbation"),
    }
    with tempfile.TemporaryDirectory() as folder:
        lake = make_lake(Path(folder))
        ask(application(lake), screen_link(SCREEN))  # imports and templates
        print(f"{'view':<26} {'cold':>8} {'again':>8}  bytes   (processor seconds)")
        for name, path in views.items():
            colds, agains = [], []
            for _ in range(3):
                app = application(lake)
                for kept in (colds, agains):
                    before = cpu()
                    status, size = ask(app, path)
                    kept.append(cpu() - before)
                    assert status == 200, path
            print(
                f"{name:<26} {statistics.median(colds):>8.2f} {statistics.median(agains):>8.2f}  {size:,}"
            )


if __name__ == "__main__":
    main()
