"""`batch_scores` of every correction on BBBC021 and JUMP-MOA, and what limits the second.

`python benchmarks/batch_corrections.py --bbbc021 PROFILES.parquet --jumpmoa FOLDER`. Every method runs
in the place of the correction of `moa_default`. Nothing here is tuned.
"""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
import polars as pl  # noqa: E402
from choose_recipe import jump_wells  # noqa: E402

from phenolake import evaluation  # noqa: E402
from phenolake.correction import METHODS, FeaturesDroppedWarning  # noqa: E402
from phenolake.evaluation.similarity import Cosine, codes  # noqa: E402
from phenolake.profiling import RECIPES, apply_recipe, consensus, feature_columns  # noqa: E402

warnings.simplefilter("ignore", FeaturesDroppedWarning)
IS_CONTROL = pl.col("Metadata_ControlType") == "negcon"
PLATE, COMPOUND, MECHANISM = "Metadata_Plate", "Metadata_Perturbation", "Metadata_MOA"


def bbbc021(path: Path) -> pl.DataFrame:
    """Wells of BBBC021 under our names; a week is a batch."""
    names = {"Metadata_Compound": COMPOUND, "Metadata_Week": "Metadata_Batch"}
    is_dmso = pl.col("Metadata_Compound") == "DMSO"
    control = pl.when(is_dmso).then(pl.lit("negcon")).otherwise(pl.lit("trt"))
    return pl.read_parquet(path).with_columns(control.alias("Metadata_ControlType")).rename(names)


def jumpmoa(folder: Path) -> pl.DataFrame:
    """Wells of JUMP-MOA under our names; a plate is a batch."""
    names = {
        "Metadata_broad_sample": COMPOUND,
        "Metadata_MoA": MECHANISM,
        "Metadata_control_type": "Metadata_ControlType",
    }
    wells = jump_wells(folder).rename(names)
    return wells.with_columns(
        pl.col(PLATE).alias("Metadata_Batch"), pl.col("Metadata_ControlType").fill_null("trt")
    )


def corrected(wells: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The wells by `moa_default` with each method, and as they came (`raw`)."""
    recipes = {method: RECIPES["moa_default"].with_correction(method) for method in METHODS}
    return {"raw": wells} | {
        method: apply_recipe(wells, recipe, IS_CONTROL) for method, recipe in recipes.items()
    }


def show(versions: dict[str, pl.DataFrame]) -> None:
    """Print the table of `batch_scores`, a line per method."""
    table = evaluation.compare_corrections(versions, reference=IS_CONTROL)
    scores = table["score"].unique(maintain_order=True).to_list()
    print("| method | " + " | ".join(scores) + " |")
    print("|---" * (len(scores) + 1) + "|")
    for method in versions:
        rows = table.filter(correction=method)
        cells = [
            "" if value is None else f"{value:.3f} ({low:.2f}-{high:.2f})" if low is not None else f"{value:.3f}"
            for value, low, high in rows.select("value", "low", "high").iter_rows()
        ]  # fmt: skip
        print(f"| {method} | " + " | ".join(cells) + " |")


def one_nearest(profiles: pl.DataFrame, plates: str) -> tuple[float, np.ndarray]:
    """1-NN mechanism accuracy of wells among those of other compounds on other (or the same) plates.

    Over wells whose mechanism another compound has; also the accuracy by plate.
    """
    treated = profiles.filter(~IS_CONTROL).drop_nulls([COMPOUND, MECHANISM])
    rows = np.arange(treated.height)
    similarity = Cosine(treated, feature_columns(treated)).between(rows, rows)
    plate, compound, mechanism = (codes(treated, [name]) for name in (PLATE, COMPOUND, MECHANISM))
    same_plate = plate[:, None] == plate
    allowed = (compound[:, None] != compound) & (same_plate if plates == "same" else ~same_plate)
    nearest = np.where(allowed, similarity, -np.inf).argmax(axis=1)
    same = mechanism[:, None] == mechanism
    scored = (allowed & same).any(axis=1)
    right = mechanism[nearest] == mechanism
    by_plate = [right[scored & (plate == one)].mean() for one in np.unique(plate)]
    return float(right[scored].mean()), np.array(by_plate)


def on_own_plate(folder: Path) -> None:
    """Print the same within each plate on all features that its file has: no batch effect at all."""
    print("\n1-NN mechanism of wells on their own plate, all features of its file, moa_default")
    for path in sorted(folder.glob("*_negcon_batch.csv.gz")):
        wells = pl.read_csv(path, infer_schema_length=None)
        whole = [name for name in wells.columns if wells[name].null_count() == 0]
        features = [
            name
            for name in whole
            if wells.schema[name].is_numeric() and not name.startswith(("Metadata_", "Image_"))
        ]
        wells = wells.select(
            pl.format("{}/{}", "Metadata_Plate", pl.lit(path.name[:18])).alias(PLATE),
            pl.col("Metadata_broad_sample").alias(COMPOUND),
            pl.col("Metadata_MoA").alias(MECHANISM),
            pl.col("Metadata_control_type").fill_null("trt").alias("Metadata_ControlType"),
            pl.col(features).cast(pl.Float64),
        ).with_columns(pl.col(PLATE).alias("Metadata_Batch"))
        for _, plate in wells.group_by(PLATE, maintain_order=True):
            profiles = apply_recipe(plate, "moa_default", IS_CONTROL)
            accuracy, _ = one_nearest(profiles, "same")
            print(f"  {plate[PLATE][0]:34} {len(features)} features: {accuracy:.3f}")


def counts_agree(wells: pl.DataFrame) -> None:
    """Print how cell counts of compounds correlate between plates: whether labels can be right."""
    means = (
        wells.filter(~IS_CONTROL)
        .group_by(COMPOUND, PLATE)
        .agg(pl.col("Metadata_Count_Nuclei").mean())
    )
    table = means.pivot(PLATE, index=COMPOUND, values="Metadata_Count_Nuclei", sort_columns=True)
    ranks = table.drop(COMPOUND).select(pl.all().rank()).to_numpy()
    print("\nSpearman correlation of compounds' cell counts between plates")
    for plate, row in zip(table.columns[1:], np.corrcoef(ranks.T), strict=True):
        print(f"  {plate:34}", " ".join(f"{value:.2f}" for value in row))


def over_all_plates(profiles: pl.DataFrame) -> float:
    """The same of one profile per compound, the mean over all its wells: no plate effect is left."""
    treated = profiles.filter(~IS_CONTROL).drop_nulls([COMPOUND, MECHANISM])
    compounds = consensus(treated.drop(PLATE), [COMPOUND, MECHANISM], "mean")
    return evaluation.moa_accuracy(compounds, "NSC", COMPOUND, MECHANISM).accuracy


def agreement(profiles: pl.DataFrame) -> tuple[list[str], np.ndarray]:
    """How often a compound's profile on one plate is nearest to itself on another, plate by plate."""
    treated = profiles.filter(~IS_CONTROL).drop_nulls(COMPOUND)
    means = consensus(treated, [PLATE, COMPOUND], "mean")
    features = feature_columns(means)
    plates = means[PLATE].unique().sort().to_list()
    tables = [means.filter(pl.col(PLATE) == plate).sort(COMPOUND) for plate in plates]
    shared = set.intersection(*(set(table[COMPOUND]) for table in tables))
    stacked = pl.concat([table.filter(pl.col(COMPOUND).is_in(shared)) for table in tables])
    # Relative to the plate's mean compound, so that a plate's own offset counts for nothing.
    stacked = stacked.with_columns(pl.col(features) - pl.col(features).mean().over(PLATE))
    size, everyone = len(shared), np.arange(stacked.height)
    similarity = Cosine(stacked, features).between(everyone, everyone)
    share = np.array(
        [
            [
                (block.argmax(axis=1) == np.arange(size)).mean()
                for block in np.split(similarity[start : start + size], len(plates), axis=1)
            ]
            for start in range(0, stacked.height, size)
        ]
    )
    return plates, share


def confounding(wells: pl.DataFrame) -> None:
    """Print how far compound goes with batch, and with well."""
    treated = wells.filter(~IS_CONTROL).drop_nulls(COMPOUND)
    batches = treated.group_by(COMPOUND).agg(pl.col("Metadata_Batch").n_unique())["Metadata_Batch"]
    by_well = treated.group_by("Metadata_Well").agg(pl.col(COMPOUND).n_unique())[COMPOUND]
    print(
        f"{int((batches == 1).sum())} of {batches.len()} compounds are in one batch only; "
        f"{int((by_well == 1).sum())} of {by_well.len()} wells hold the same compound on every plate"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bbbc021", type=Path)
    parser.add_argument("--jumpmoa", type=Path)
    arguments = parser.parse_args()
    if arguments.bbbc021:
        wells = bbbc021(arguments.bbbc021)
        print(f"\nBBBC021: {wells.height} wells, batch = week")
        confounding(wells)
        show(corrected(wells))
    if arguments.jumpmoa:
        wells = jumpmoa(arguments.jumpmoa)
        print(f"\nJUMP-MOA: {wells.height} wells, batch = plate")
        confounding(wells)
        versions = corrected(wells)
        show(versions)
        print("\n1-NN mechanism of wells, other compounds only")
        print(
            "| method | other plates | same plate | compounds, mean of all plates | other plates, by plate |"
        )
        print("|---|---|---|---|---|")
        for method, profiles in versions.items():
            cross, by_plate = one_nearest(profiles, "other")
            same, _ = one_nearest(profiles, "same")
            print(
                f"| {method} | {cross:.3f} | {same:.3f} | {over_all_plates(profiles):.3f} | "
                + " ".join(f"{value:.3f}" for value in by_plate)
                + " |"
            )
        on_own_plate(arguments.jumpmoa)
        counts_agree(wells)
        plates, share = agreement(versions["sphering"])
        print("\nshare of compounds nearest to themselves on another plate (sphering)")
        for plate, row in zip(plates, share, strict=True):
            print(f"  {plate:32}", " ".join(f"{value:.2f}" for value in row))


if __name__ == "__main__":
    main()
