"""Focus and debris against truth: `python benchmarks/image_quality.py --data ../shared/data`.

Focus: Spearman of each measure with the blur level over single images of bbbc005_focus_counts, and
what a perfect measure reaches given the ties. Debris: simulated plates of seeds that nothing was
tuned on, dirty and clean fields known. Real fields without debris: how many are called dirty.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tifffile
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata, spearmanr
from threadpoolctl import threadpool_limits

from phenolake.images.quality import plane_quality
from phenolake.images.quality_debris import debris_fractions
from phenolake.images.quality_dust import DustMap, dust_grid, dust_share
from phenolake.images.quality_flags import QualityLimits
from phenolake.images.quality_reference import appearance_of
from phenolake.simulation import SimulationPlan, simulate_site
from phenolake.simulation.layout import plate_layout
from phenolake.simulation.plan import PRESET_NAMES

SEEDS = (101, 102, 103)
LIMIT = QualityLimits().debris_fraction
FOCUS = {"blur_octave": 1, "blur_px": 1, "power_log_log_slope": -1, "focus_score": -1}


def auc(values: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a positive lies above a negative; a tie counts half."""
    ranks = rankdata(values)[positive]
    count = int(positive.sum())
    return float(
        (ranks.sum() - count * (count + 1) / 2) / (count * (len(values) - count) or np.nan)
    )


def highest_spearman(levels: np.ndarray) -> float:
    """Spearman of a perfect order without ties of its own with tied levels.

    Average ranks of a group of t take (t^3 - t) / 12 off the sum of squares (N^3 - N) / 12; the
    order within groups is free, so that the correlation is the root of what is left.
    """
    _, ties = np.unique(levels, return_counts=True)
    total = len(levels)
    return float(np.sqrt(1 - (ties**3 - ties).sum() / (total**3 - total)))


def focus(data: Path) -> None:
    """Print how each focus measure ranks the blur levels."""
    folder = data / "bbbc005_focus_counts"
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    levels = np.array([int(row["blur_level"]) for row in rows])
    stains = np.array([row["stain"] for row in rows])
    measured = [
        plane_quality(tifffile.imread(folder / "images" / row["image_name"]) / np.float32(255))
        for row in rows
    ]
    print(f"focus: {len(rows)} images, levels {np.unique(levels).tolist()}")
    print(
        f"  highest Spearman of an untied measure: {highest_spearman(levels):.4f}; of a tied one: 1"
    )
    print(
        "  {:<22}{:>9}{:>9}{:>9}{:>14}".format(
            "measure", "all", "stain 1", "stain 2", "AUC in focus"
        )
    )
    for name, sign in FOCUS.items():
        values = sign * np.array([row[name] for row in measured], float)
        groups = [np.ones(len(rows), bool), stains == "1", stains == "2"]
        found = [spearmanr(values[g], levels[g])[0] for g in groups]
        text = "".join(f"{value:>9.4f}" for value in found)
        print(f"  {name:<22}{text}{auc(values, levels > levels.min()):>14.4f}")


def judged(images: list[np.ndarray]) -> np.ndarray:
    """Largest share of debris over channels, per field, as the quality table has it."""
    step = max(1, len(images) // 64)
    cells = appearance_of(images[::step])
    return np.array([debris_fractions(image, cells).max() for image in images])


def line(name: str, values: np.ndarray, dirty: np.ndarray) -> str:
    """Prevalence, AUC, precision and recall at the default limit."""
    flagged = values > LIMIT
    hits = int((flagged & dirty).sum())
    precision = hits / flagged.sum() if flagged.any() else float("nan")
    return (
        f"  {name:<34}{len(values):>7}{dirty.sum():>7}{auc(values, dirty):>8.3f}"
        f"{precision:>11.3f}{hits / max(1, dirty.sum()):>8.3f}{(flagged & ~dirty).sum():>13}"
    )


def with_blob(rng: np.random.Generator, image: np.ndarray, bright: np.ndarray) -> np.ndarray:
    """The field with one bright blob out of focus in at least two channels."""
    edge = max(image.shape[1:])
    y, x = np.ogrid[: image.shape[1], : image.shape[2]]
    cy, cx = (rng.uniform(0.1, 0.9) * n for n in image.shape[1:])
    width = rng.uniform(1 / 32, 1 / 12) * edge
    blob = np.exp(-0.5 * ((y - cy) ** 2 + (x - cx) ** 2) / width**2)
    shown = np.zeros(len(image), bool)
    shown[rng.permutation(len(image))[: rng.integers(min(2, len(image)), len(image) + 1)]] = True
    gain = shown * bright * rng.uniform(1, 3)
    return np.asarray(image + gain[:, None, None] * blob, np.float32)


def simulated(seeds: tuple[int, ...]) -> None:
    """Print how well dirty fields of simulated plates are found, and what blobs and dust do."""
    head = ("debris", "fields", "dirty", "AUC", "precision", "recall", "false alarms")
    print("{:<36}{:>7}{:>7}{:>8}{:>11}{:>8}{:>13}".format(*head))
    for preset in PRESET_NAMES:
        everything: list[np.ndarray] = []
        truth: list[np.ndarray] = []
        for seed in seeds:
            plan = SimulationPlan(preset=preset, seed=seed, sites=2)
            places = [(w.name, s) for w in plate_layout(plan, "P01") for s in (1, 2)]
            found = [simulate_site(plan, "P01", *place) for place in places]
            dirty = np.array([one.dirt > 0 for one in found])
            images = [one.image.astype(np.float32) / np.float32(65535) for one in found]
            everything.append(judged(images))
            truth.append(dirty)
            print(line(f"{preset} {seed}", everything[-1], dirty))
        print(line(f"{preset} all", np.concatenate(everything), np.concatenate(truth)))
        clean = [image for image, is_dirty in zip(images, dirty, strict=True) if not is_dirty]
        rng = np.random.default_rng(seeds[-1])
        bright = np.median(
            [np.ptp(np.percentile(i, (5, 99), axis=(1, 2)), axis=0) for i in clean], 0
        )
        marked = rng.random(len(clean)) < 0.1
        fields = [with_blob(rng, i, bright) if m else i for i, m in zip(clean, marked, strict=True)]
        print(line(f"{preset} blobs", judged(fields), marked))
        dust(preset, clean[:64])


def dust(name: str, images: list[np.ndarray]) -> None:
    """Print the share of the field called dust, with shadows of known depth at one place."""
    height, width = images[0].shape[1:]
    y, x = np.ogrid[:height, :width]
    spot = np.exp(-(np.hypot(y / height - 0.3, x / width - 0.7) ** 2) / (2 * 0.025**2))
    shares = []
    for depth in (0.0, 0.1, 0.2, 0.4):
        found = DustMap()
        for image in images:
            found.add(dust_grid(image * (1 - np.float32(depth) * spot.astype(np.float32))))
        shares.append(f"{depth:.0%}: {max(map(dust_share, found.maps()), default=np.nan):.4f}")
    print(f"  dust, {name}, {len(images)} fields; shadow depth: share  " + "  ".join(shares))


def real_plates(data: Path) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Fields without known debris, by plate: float32 (channel, y, x), 0..1."""

    def read(paths: list[Path]) -> np.ndarray:
        planes = np.stack([tifffile.imread(path) for path in paths])
        return planes.astype(np.float32) / np.float32(np.iinfo(planes.dtype).max)

    six = sorted((data / "cellpainting_6ch_field/images").glob("*ch[23456]*"))
    yield "cellpainting_6ch_field", [read(six)]
    nf1 = data / "nf1_cellpainting_fields/images"
    yield "nf1_cellpainting_fields", [read(sorted(nf1.glob(f"{w}_*"))) for w in ("B7", "D6", "D7")]
    second: Callable[[Path], Path] = lambda path: path.with_name(  # noqa: E731
        path.name.replace("Channel1", "Channel2")
    )
    fkhr = sorted((data / "sbs_fkhr_plate/images").glob("Channel1-*"))
    yield "sbs_fkhr_plate", [read([path, second(path)]) for path in fkhr]
    for name, pattern in (("illumination_row_o", "*.TIF"), ("bbbc005_focus_counts", "images/*")):
        yield name, [read([path]) for path in sorted((data / name).glob(pattern))]


def real(data: Path) -> None:
    """Print how many real fields are called dirty, and of how many with painted fibres."""
    print(f"  {'real plate':<28}{'fields':>7}{'called dirty':>14}{'with a fibre painted in':>26}")
    for name, images in real_plates(data):
        rng = np.random.default_rng(0)
        bright = np.median([np.percentile(i, 99, axis=(1, 2)) for i in images], axis=0)
        painted = [with_fibre(rng, image, bright) for image in images]
        cells = appearance_of(images[:: max(1, len(images) // 64)])
        clean, found = (
            sum(bool(debris_fractions(image, cells).max() > LIMIT) for image in fields)
            for fields in (images, painted)
        )
        print(f"  {name:<28}{len(images):>7}{clean:>14}{found:>26}")
        if len(images) >= 16:
            dust(name, images)


def with_fibre(rng: np.random.Generator, image: np.ndarray, bright: np.ndarray) -> np.ndarray:
    """The field with one fibre, 2 pixels wide, as bright as the cells' brightest, in all channels."""
    light = np.zeros(image.shape[1:], np.float32)
    steps = np.cumsum(
        [np.array([np.sin(a), np.cos(a)]) for a in np.cumsum(rng.normal(0, 0.05, 150))], axis=0
    )
    places = (steps + [n * rng.uniform(0.2, 0.8) for n in light.shape]).astype(int)
    inside = ((places >= 0) & (places < np.array(light.shape) - 1)).all(axis=1)
    for dy, dx in ((0, 0), (0, 1), (1, 0)):
        light[places[inside, 0] + dy, places[inside, 1] + dx] = 2
    return np.minimum(image + bright[:, None, None].astype("f4") * gaussian_filter(light, 0.9), 1)


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    options = parser.parse_args()
    if options.data.is_dir():
        focus(options.data)
    simulated(tuple(options.seeds))
    if options.data.is_dir():
        real(options.data)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
