"""How `moa_default` was chosen: cross-validation over compounds on BBBC021 well profiles.

`python benchmarks/choose_recipe.py PROFILES.parquet [--check FOLDER]`. For each compound the recipe
is chosen without it and then judged on it alone; the recipe shipped is the one chosen most often.
`--check` names a folder of JUMP-MOA plates, on which the chosen recipe is tried and not tuned.
"""

from __future__ import annotations

import argparse
import itertools
import os
import warnings
from collections import Counter
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
import polars as pl  # noqa: E402

from phenolake.correction import FeaturesDroppedWarning  # noqa: E402
from phenolake.evaluation.similarity import Cosine, codes  # noqa: E402
from phenolake.profiling import (  # noqa: E402
    Recipe,
    apply_recipe,
    consensus,
    feature_columns,
    follow_recipe,
)

warnings.simplefilter("ignore", FeaturesDroppedWarning)
IS_DMSO = pl.col("Metadata_Compound") == "DMSO"
TREATMENT = ["Metadata_Compound", "Metadata_Concentration"]

NORMALIZATIONS = {
    "SD of the plate": [{"step": "normalize", "method": "standardize"}],
    "SD of the batch": [
        {"step": "normalize", "method": "centre"},
        {"step": "normalize", "method": "standardize", "by": ("Metadata_Week",)},
    ],
    "pooled SD": [
        {"step": "normalize", "method": "centre"},
        {"step": "normalize", "method": "standardize", "by": ()},
    ],
}
SELECTION = {"step": "select_features", "operations": ("positions", "missing", "variance")}
COMPRESSIONS = {
    "as it is": [],
    **{f"signed log, scale {c:g}": [{"step": "signed_log", "scale": c}] for c in (1, 2, 4, 8, 16)},
}
CORRECTIONS = {
    "none": [],
    **{
        f"sphering, {r:g}": [{"step": "correct", "method": "sphering", "regularization": r}]
        for r in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    },
}
ORIGINS = {"controls": [], "mean treatment": [{"step": "centre", "on": "treated"}]}


class Judge:
    """Which treatments each scheme gets right, with any compounds left out."""

    def __init__(self, treatments: pl.DataFrame) -> None:
        self.compound = codes(treatments, ["Metadata_Compound"])
        mechanism = codes(treatments, ["Metadata_MOA"])
        week = codes(treatments, ["Metadata_Week"])
        other = self.compound[:, None] != self.compound
        self.allowed = (other, other & (week[:, None] != week))
        self.same = mechanism[:, None] == mechanism

    def correct(self, similarity: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """1 right, 0 wrong, NaN not scored; shape (scheme, treatment); NSC, then NSCB."""
        found = np.full((2, len(similarity)), np.nan)
        for scheme, allowed in enumerate(self.allowed):
            usable = allowed & kept[None, :]
            nearest = np.where(usable, similarity, -np.inf).argmax(axis=1)
            right = self.same[np.arange(len(similarity)), nearest]
            scored = (usable & self.same).any(axis=1) & kept
            found[scheme, scored] = right[scored]
        return found


def candidates() -> list[Recipe]:
    """Every combination of the choices above."""
    grid = itertools.product(
        *(x.items() for x in (NORMALIZATIONS, COMPRESSIONS, CORRECTIONS, ORIGINS))
    )
    return [
        Recipe("; ".join((a, b, c, d)), "", (*normal, SELECTION, *squeeze, *remove, *origin))
        for (a, normal), (b, squeeze), (c, remove), (d, origin) in grid
    ]


def similarities(
    wells: pl.DataFrame, recipes: list[Recipe]
) -> tuple[list[np.ndarray], pl.DataFrame]:
    """Cosine similarities between treatments (mean of replicates) by every recipe."""
    found, prepared = [], {}
    for recipe in recipes:
        start = recipe.until_correction
        key = recipe.name.split(";")[0]
        if key not in prepared:
            first = Recipe(
                "",
                "",
                tuple(s for s in start.steps if s["step"] in ("normalize", "select_features")),
            )
            prepared = {key: apply_recipe(wells, first, IS_DMSO, "Metadata_Week")}
        rest = Recipe(
            "",
            "",
            tuple(s for s in recipe.steps if s["step"] in ("signed_log", "correct", "centre")),
        )
        profiles = follow_recipe(prepared[key], rest, IS_DMSO, "Metadata_Week").profiles
        treatments = consensus(profiles.filter(~IS_DMSO), TREATMENT, "mean")
        rows = np.arange(treatments.height)
        found.append(Cosine(treatments, feature_columns(treatments)).between(rows, rows))
    return found, treatments


def mean_of_schemes(correct: np.ndarray) -> float:
    """Mean of NSC and NSCB."""
    return float(np.nanmean(correct, axis=1).mean())


def choose(found: list[np.ndarray], judge: Judge, kept: np.ndarray) -> int:
    """Best recipe on the kept treatments; of equally good ones the middle one of the grid."""
    scores = np.array([mean_of_schemes(judge.correct(s, kept)) for s in found])
    best = np.flatnonzero(scores >= scores.max() - 1e-12)
    return int(best[best.size // 2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profiles", type=Path)
    parser.add_argument("--check", type=Path)
    arguments = parser.parse_args()
    wells = pl.read_parquet(arguments.profiles)
    recipes = candidates()
    found, treatments = similarities(wells, recipes)
    judge = Judge(treatments)
    everyone = np.ones(treatments.height, bool)
    chosen, held_out = [], np.full((2, treatments.height), np.nan)
    for compound in np.unique(judge.compound):
        own = judge.compound == compound
        pick = choose(found, judge, ~own)
        chosen.append(pick)
        held_out[:, own] = judge.correct(found[pick], everyone)[:, own]
    print(f"{len(recipes)} recipes, {len(chosen)} compounds, {treatments.height} treatments")
    print(
        "chosen without one compound, judged on it: NSC {:.3f} NSCB {:.3f}".format(
            *np.nanmean(held_out, axis=1)
        )
    )
    for pick, times in Counter(chosen).most_common():
        nsc, nscb = np.nanmean(judge.correct(found[pick], everyone), axis=1)
        print(f"  {times:3} times: {recipes[pick].name}: NSC {nsc:.3f} NSCB {nscb:.3f}")
    ordered = sorted(
        range(len(recipes)), key=lambda i: -mean_of_schemes(judge.correct(found[i], everyone))
    )
    print("all compounds, best fifteen (not what chose):")
    for index in ordered[:15]:
        nsc, nscb = np.nanmean(judge.correct(found[index], everyone), axis=1)
        print(f"  NSC {nsc:.3f} NSCB {nscb:.3f} {recipes[index].name}")
    if arguments.check:
        check(arguments.check)


def jump_wells(folder: Path) -> pl.DataFrame:
    """All JUMP-MOA plates of a folder on the features that every file has without a gap."""
    files = [
        pl.read_csv(path, infer_schema_length=None).with_columns(
            pl.col("Metadata_Plate").cast(pl.String) + "/" + path.name[:18]
        )
        for path in sorted(folder.glob("*_negcon_batch.csv.gz"))
    ]
    shared = [
        name
        for name in files[0].columns
        if all(name in f.columns and f[name].null_count() == 0 for f in files)
        and (name.startswith("Metadata_") or files[0].schema[name].is_numeric())
    ]
    keep = [
        "Metadata_Plate",
        "Metadata_Well",
        "Metadata_broad_sample",
        "Metadata_MoA",
        "Metadata_control_type",
        "Metadata_Count_Nuclei",
    ]
    features = [name for name in shared if not name.startswith(("Metadata_", "Image_"))]
    return pl.concat([f.select(*keep, pl.col(features).cast(pl.Float64)) for f in files])


def cross_plate_accuracy(profiles: pl.DataFrame) -> float:
    """Share of treated wells whose nearest well on another plate, of another compound, has the MOA."""
    treated = profiles.filter(pl.col("Metadata_control_type").fill_null("") != "negcon").drop_nulls(
        ["Metadata_MoA", "Metadata_broad_sample"]
    )
    rows = np.arange(treated.height)
    similarity = Cosine(treated, feature_columns(treated)).between(rows, rows)
    plate, compound, mechanism = (
        codes(treated, [name])
        for name in ("Metadata_Plate", "Metadata_broad_sample", "Metadata_MoA")
    )
    allowed = (plate[:, None] != plate) & (compound[:, None] != compound)
    nearest = np.where(allowed, similarity, -np.inf).argmax(axis=1)
    return float((mechanism[nearest] == mechanism).mean())


def check(folder: Path) -> None:
    """Cross-plate 1-NN accuracy of JUMP-MOA wells, as they are and by the shipped recipe."""
    from phenolake.correction import METHODS
    from phenolake.profiling import RECIPES

    wells = jump_wells(folder)
    control = pl.col("Metadata_control_type") == "negcon"
    print(
        f"JUMP-MOA, {wells.height} wells, {len(feature_columns(wells))} features, cross-plate 1-NN"
    )
    print(f"  as they are {cross_plate_accuracy(wells):.3f}")
    for method in METHODS:
        recipe = RECIPES["moa_default"].with_correction(method)
        corrected = apply_recipe(wells, recipe, control, "Metadata_Plate")
        print(f"  moa_default with {method}: {cross_plate_accuracy(corrected):.3f}", flush=True)


if __name__ == "__main__":
    main()
