"""Segmentation methods on the same hand-made masks: F1, AP, panoptic quality, seconds per image.

Run with `python benchmarks/segmentation.py [--methods classical compact] [--left-out DIR]`. On
DSB 2018: the recorded random hold-out, and with `--all` every image. `--left-out DIR` holds weights
`CONDITION.safetensors`, each of a training without that condition; each is scored on the condition
it never saw. Then agreement with CellProfiler's own masks on two other sets. `--data` is the folder
of the data sets.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
import polars as pl  # noqa: E402
from scipy import ndimage  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "platform"))

from phenolake.evaluation.segmentation import THRESHOLDS  # noqa: E402
from phenolake.images.pixels import read_plane  # noqa: E402
from phenolake.importing.annotated import AnnotatedImage, annotated_images  # noqa: E402
from phenolake.segmentation import segment  # noqa: E402
from phenolake.segmentation.learning.examples import read_examples, split_examples  # noqa: E402
from phenolake.stages.segmentation_scores import (  # noqa: E402
    OVERALL,
    available_methods,
    compare_methods,
    nuclei_by,
)

SHOWN = (0.5, 0.7, 0.9)


def show(title: str, scores: pl.DataFrame) -> None:
    """One line per method and condition: pooled F1, AP, PQ at three IoU, mean AP, times."""
    print(f"\n## {title}\n")
    head = [f"{name} {level}" for level in SHOWN for name in ("F1", "AP", "PQ")]
    print("| method | condition | images | " + " | ".join(head) + " | mean AP | splits | merges "
          "| CPU s/image | s/image |")  # fmt: skip
    print("|" + " --- |" * (3 + len(head) + 5))
    groups = scores.group_by(["method", "condition"], maintain_order=True)
    for (method, condition), rows in groups:
        at = {round(row["threshold"], 2): row for row in rows.iter_rows(named=True)}
        cells = [
            f"{at[level][name]:.3f}" for level in SHOWN for name in ("f1", "ap", "panoptic_quality")
        ]
        first = at[0.5]
        print(
            f"| {method} | {condition} | {first['images']} | "
            + " | ".join(cells)
            + f" | {rows['ap'].mean():.3f} | {first['splits']} | {first['merges']} "
            f"| {first['cpu_seconds_per_image']:.3f} | {first['seconds_per_image']:.3f} |"
        )


def hold_out(folder: Path, images: list[AnnotatedImage]) -> list[AnnotatedImage]:
    """The images of the recorded random hold-out."""
    names = {example.name for example in split_examples(read_examples(folder), seed=0)["test"]}
    return [image for image in images if image.name in names]


def left_out(folder: Path, images: list[AnnotatedImage]) -> None:
    """Score each network on the condition that it never saw."""
    tables = []
    for weights in sorted(folder.glob("*.safetensors")):
        unseen = [image for image in images if image.condition == weights.stem]
        if not unseen:
            print(f"{weights.name}: no image has this condition")
            continue
        find = {"compact, left out": nuclei_by(f"compact:{weights}")}
        tables.append(compare_methods(unseen, find, THRESHOLDS).scores)
    if not tables:
        print(f"\n{folder}: no weights named after a condition")
        return
    scores = pl.concat(tables).filter(pl.col("condition") != OVERALL)
    show("DSB 2018, conditions left out of training in turn", scores)
    mean = scores.filter(pl.col("threshold") == 0.5)["f1"].mean()
    print(f"\nmean F1 at IoU 0.5 over left-out conditions: {mean:.3f}")


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Overlap of two foregrounds."""
    total = np.count_nonzero(first) + np.count_nonzero(second)
    return 2 * np.count_nonzero(first & second) / total if total else 1.0


def nf1_fields(folder: Path, method: str) -> None:
    """Foreground of nuclei and cells beside CellProfiler's masks, which lack cells at the border."""
    nuclear, cellular, inner = [], [], []
    for dna in sorted((folder / "images").glob("*_DAPI_001.tif")):
        well, _, _, site = dna.name.split("_")[:4]
        planes = [dna] + [
            next((folder / "images").glob(f"{well}_01_?_{site}_{stain}_001.tif"))
            for stain in ("GFP", "RFP")
        ]
        image = np.stack([read_plane(path) for path in planes])
        found = segment(image, {"DNA": 0, "ER": 1, "AGP": 2}, method, cell_channel="AGP")
        for part, values in (("Nuclei", nuclear), ("Cells", cellular)):
            mask = next((folder / "masks").glob(f"{well}_01_?_{site}_*_Mask{part}.tiff"))
            given = read_plane(mask) > 0
            values.append(dice(found[part] > 0, given))
            if part == "Cells":
                inner.append(dice(off_border(found[part]) > 0, given))
    print(f"NF1, {method}: Dice of nuclei {listed(nuclear)}, of cells {listed(cellular)}, "
          f"of cells off the border {listed(inner)}")  # fmt: skip


def listed(values: list[float]) -> str:
    """Mean, and each value."""
    return f"{np.mean(values):.3f} ({', '.join(f'{value:.3f}' for value in values)})"


def off_border(labels: np.ndarray) -> np.ndarray:
    """Objects that touch no edge of the field, which is what CellProfiler keeps."""
    edge = np.unique(np.concatenate((labels[0], labels[-1], labels[:, 0], labels[:, -1])))
    return np.where(np.isin(labels, edge), 0, labels)


def example_human(folder: Path, method: str) -> None:
    """Nuclear count and foreground beside CellProfiler's, which drops nuclei at the border."""
    base = "AS_09125_050116030001_D03f00"
    image = np.stack([read_plane(folder / f"{base}d{channel}.tif") for channel in (0, 2)])
    found = segment(image, {"DNA": 0, "Actin": 1}, method)
    nuclei = found["Nuclei"]
    whole = off_border(nuclei)
    truth = drawn_nuclei(folder, base)
    print(
        f"ExampleHuman, {method}: {np.unique(nuclei).size - 1} nuclei, "
        f"{np.unique(whole).size - 1} without those at the border (CellProfiler: 289); "
        f"Dice of nuclei {dice(whole > 0, truth):.3f}"
    )


def drawn_nuclei(folder: Path, base: str) -> np.ndarray:
    """Foreground of CellProfiler's nuclei: what its drawn outlines enclose around its centres."""
    import imagecodecs

    overlay = imagecodecs.png_decode((folder / f"{base}d0_Overlay.png").read_bytes())[..., :3]
    line = (overlay == (0, 0, 255)).all(-1) | (overlay == (255, 255, 0)).all(-1)
    pieces, _ = ndimage.label(~line)
    chosen = set()
    with (folder / "Nuclei.csv").open() as file:
        for row in csv.DictReader(file):
            y, x = (round(float(row[f"Location_Center_{axis}"])) for axis in "YX")
            chosen.add(int(pieces[y, x]))
    # The outside is larger than any nucleus; a centre on a line belongs to no piece.
    sizes = np.bincount(pieces.ravel())
    kept = [piece for piece in chosen if piece and sizes[piece] < 5_000]
    inside = np.isin(pieces, kept)
    return inside | (ndimage.binary_dilation(inside, np.ones((3, 3))) & line)


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--methods", nargs="*", help="default: all that run here")
    parser.add_argument("--left-out", type=Path, help="folder of weights CONDITION.safetensors")
    parser.add_argument("--all", action="store_true", help="also all images of DSB 2018")
    parser.add_argument("--quick", action="store_true", help="every eighth image")
    arguments = parser.parse_args()
    ready, missing = available_methods()
    for name, why in missing.items():
        print(f"{name} does not run here: {why}")
    methods = {name: nuclei_by(name) for name in arguments.methods} if arguments.methods else ready

    folder = arguments.data / "dsb2018_nuclei"
    images = annotated_images(folder)
    held = hold_out(folder, images)
    step = 8 if arguments.quick else 1
    show("DSB 2018, random hold-out", compare_methods(held[::step], methods, THRESHOLDS).scores)
    if arguments.all:
        show("DSB 2018, all images", compare_methods(images[::step], methods, THRESHOLDS).scores)
    if arguments.left_out:
        left_out(arguments.left_out, images[::step])
    print("\n## Agreement with CellProfiler's masks (not truth)\n")
    for method in methods:
        nf1_fields(arguments.data / "nf1_cellpainting_fields", method)
        example_human(arguments.data / "cp_examplehuman", method)


if __name__ == "__main__":
    main()
