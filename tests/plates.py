"""Small plates of images on disk: the same few bright blobs everywhere, awkward ones on request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile
import yaml

WELLS = ("A01", "A02", "B01", "B02")
CHANNELS = ("DNA", "GFP")


def blobs(seed: int, size: int = 128, count: int = 9, dtype: str = "uint16") -> np.ndarray:
    """A field with `count` round bright cells on a dim noisy background, shape (size, size)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    image = rng.normal(300, 15, (size, size))
    side = int(np.ceil(np.sqrt(count)))
    step = size / side
    for number in range(count):
        row, column = divmod(number, side)
        cy, cx = (row + 0.5) * step + rng.uniform(-3, 3), (column + 0.5) * step + rng.uniform(-3, 3)
        radius = rng.uniform(0.18, 0.26) * step
        image += 6000 * np.exp(-((((y - cy) ** 2 + (x - cx) ** 2) / (2 * radius**2)) ** 2))
    top = np.iinfo(dtype).max
    return np.clip(image * top / 65535 if top != 65535 else image, 0, top).astype(dtype)


def write_site(
    folder: Path, well: str, site: int = 1, channels: Sequence[str] = CHANNELS, **options: int
) -> list[Path]:
    """Write one site as `<well>_s<site>_w<n>_<channel>.tif`; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, channel in enumerate(channels, start=1):
        path = folder / f"{well}_s{site}_w{number}_{channel}.tif"
        seed = int.from_bytes(well.encode()) * 100 + site  # no two sites are alike
        tifffile.imwrite(path, blobs(seed, **options))
        paths.append(path)
    return paths


def write_screen(
    folder: Path,
    plates: Sequence[str] = ("P1",),
    wells: Sequence[str] = WELLS,
    sites: int = 1,
    *,
    plate_map: str | None = "default",
    **config: object,
) -> Path:
    """Write a nuclear_translocation screen: folder/screen.yaml, platemap.csv and plates."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {"preset": "nuclear_translocation", "wells": 96, "features": "fast", **config}
    (folder / "screen.yaml").write_text(yaml.safe_dump(values))
    if plate_map == "default":
        lines = ["well,compound,dose,control,moa"]
        for number, well in enumerate(wells):
            is_control = number % 2 == 0
            name, kind = ("DMSO", "negcon") if is_control else (f"drug{number}", "trt")
            lines.append(f"{well},{name},{number},{kind},{'none' if is_control else 'toxin'}")
        plate_map = "\n".join(lines) + "\n"
    if plate_map is not None:
        (folder / "platemap.csv").write_text(plate_map)
    for plate in plates:
        for well in wells:
            for site in range(1, sites + 1):
                write_site(folder / plate, well, site)
    return folder
