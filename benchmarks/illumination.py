"""Illumination functions against the true light of simulated plates: `python benchmarks/illumination.py`.

Prints, per number of fields, the RMS error of the function and that of no correction, relative to
the mean and averaged over channels.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import tifffile
from threadpoolctl import threadpool_limits

from phenolake.images.illumination import estimate_illumination
from phenolake.images.sites import Site
from phenolake.simulation import SimulationPlan, simulate_site
from phenolake.simulation.assays import ASSAYS
from phenolake.simulation.layout import plate_layout
from phenolake.simulation.optics import acquisition

PLANS = (("cell_painting", 31), ("four_channel_cytotoxicity", 32))


def written(plan: SimulationPlan, folder: Path) -> list[Site]:
    """One site per well, as TIFF files."""
    channels = ASSAYS[plan.preset].channels
    sites = []
    for well in plate_layout(plan, "P01"):
        image = simulate_site(plan, "P01", well.name, 1).image
        paths = [folder / f"{well.name}_{channel}.tif" for channel in channels]
        for path, plane in zip(paths, image, strict=True):
            tifffile.imwrite(path, plane)
        planes = tuple(((str(path), 0),) for path in paths)
        sites.append(Site(plan.name, "B1", "P01", well.name, 1, channels, planes))
    return sites


def error(function: np.ndarray, light: np.ndarray) -> float:
    """RMS of the ratio of two functions of mean 1, less 1."""
    ratio = function / function.mean() / (light / light.mean())
    return float(np.sqrt(((ratio - 1) ** 2).mean()))


def main() -> None:
    """Measure both presets."""
    print(f"{'preset':<28}{'fields':>7}{'no correction':>15}{'function':>10}")
    for preset, seed in PLANS:
        plan = SimulationPlan(preset=preset, seed=seed, size=384)
        lights = acquisition(plan, "P01").shading
        flat = np.mean([error(np.ones_like(light), light) for light in lights])
        with tempfile.TemporaryDirectory() as folder:
            sites = written(plan, Path(folder))
            for count in (12, 24, 48, 96):
                found = estimate_illumination(sites[:: len(sites) // count])
                errors = [error(f.function, light) for f, light in zip(found, lights, strict=True)]
                print(f"{preset:<28}{count:>7}{flat:>15.3f}{np.mean(errors):>10.3f}")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
