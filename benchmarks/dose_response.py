"""Curves and hits on simulated dose screens of known truth: coverage, flags, false discoveries.

`python benchmarks/dose_response.py` simulates screens with seeds that nothing was tuned on: some of
the compounds inert, the rest with EC50s inside the tested range, on replicate plates that differ in
level and noise; and the same with noise of heavier tails. Curves come from `fit_curves`, hits from
the mart as dbt builds it. `--hits-only` leaves the curves out.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from phenolake.dose_response import curve_values, fit_curves
from phenolake.tables import TABLES
from phenolake.tables.dbt_sources import FOR_DBT, READOUT_VALUES

COMPOUNDS, CONTROLS = 160, 24
#: Share of inert compounds, replicate plates.
DESIGNS = {
    "half inert, 3 plates": (0.5, 3),
    "9 of 10 inert, 3 plates": (0.9, 3),
    "9 of 10 inert, 2 plates": (0.9, 2),
    "9 of 10 inert, 1 plate": (0.9, 1),
}
DOSES = np.geomspace(0.01, 30, 8)
READOUT = "Metadata_CellCount"


def screen(
    seed: int, tails: str, inert_share: float = 0.5, plates: int = 3
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Wells of one screen, and the truth of its compounds."""
    rng = np.random.default_rng(seed)
    active = round((1 - inert_share) * COMPOUNDS)
    inert = np.arange(COMPOUNDS) % (COMPOUNDS // active) != 1
    ec50 = 10 ** rng.uniform(np.log10(DOSES[1]), np.log10(DOSES[-2]), COMPOUNDS)
    hill = rng.uniform(0.7, 2.5, COMPOUNDS)
    span = np.where(inert, 0, rng.uniform(6, 20, COMPOUNDS) * rng.choice([-1, 1], COMPOUNDS))
    parts = []
    for plate in range(plates):
        level, sd = rng.normal(100, 15), rng.uniform(1.5, 2.5)
        responses = np.array(
            [curve_values(DOSES, 0, s, e, h) for s, e, h in zip(span, ec50, hill, strict=True)]
        )
        draws = (CONTROLS + responses.size,)
        noise = (
            rng.standard_t(4, draws) / np.sqrt(2) if tails == "heavy" else rng.normal(size=draws)
        )
        values = level + np.r_[np.zeros(CONTROLS), responses.ravel()] + sd * noise
        names = ["DMSO"] * CONTROLS + [f"c{i}" for i in range(COMPOUNDS) for _ in DOSES]
        parts.append(
            pl.DataFrame(
                {
                    "Metadata_Plate": [f"P{plate}"] * values.size,
                    "Metadata_Well": [f"W{i:04d}" for i in range(values.size)],
                    "Metadata_Perturbation": names,
                    "Metadata_Concentration": [None] * CONTROLS + DOSES.tolist() * COMPOUNDS,
                    "Metadata_ControlType": ["negcon"] * CONTROLS + ["trt"] * responses.size,
                    "value": values,
                }
            )
        )
    wells = pl.concat(parts).with_columns(pl.lit("uM").alias("Metadata_ConcentrationUnit"))
    truth = pl.DataFrame(
        {
            "Metadata_Perturbation": [f"c{i}" for i in range(COMPOUNDS)],
            "inert": inert,
            "true_ec50": ec50,
        }
    )
    return wells, truth


def hits(screens: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """The mart `hits` of several screens, built by dbt in a temporary folder."""
    parts = []
    for name, wells in screens.items():
        control = pl.when(pl.col("Metadata_ControlType") == "negcon").then("value")
        centre = control.median().over("Metadata_Plate")
        spread = (control - centre).abs().median().over("Metadata_Plate") * 1.4826
        parts.append(
            wells.with_columns(
                ((pl.col("value") - centre) / spread).alias("z_score"),
                pl.lit(name).alias("Metadata_Screen"),
                # Wells of this simulation have no place on a plate.
                pl.format("A{}", pl.col("Metadata_Well").str.slice(1)).alias("Metadata_Well"),
            )
        )
    empty = pl.DataFrame(READOUT_VALUES.arrow_schema().empty_table())
    wells = pl.concat(parts).with_columns(
        pl.lit(READOUT).alias("readout"), pl.lit(1).alias("Metadata_CellCount")
    )
    rows = pl.concat([empty, wells], how="diagonal_relaxed").select(empty.columns)
    contents = {table.name: table.arrow_schema().empty_table() for table in FOR_DBT}
    contents |= {name: table.arrow_schema().empty_table() for name, table in TABLES.items()}
    contents["readout_values"] = rows.to_arrow().cast(READOUT_VALUES.arrow_schema())
    layer_of = {table.name: table.layer for table in (*TABLES.values(), *FOR_DBT)}
    with tempfile.TemporaryDirectory() as folder:
        database, project = Path(folder, "lake.duckdb"), Path(__file__).parents[1] / "dbt"
        with duckdb.connect(str(database)) as connection:
            for layer in ("bronze", "silver", "gold"):
                connection.execute(f"create schema {layer}")
            for name, table in contents.items():
                connection.register("rows", table)
                connection.execute(f"create table {layer_of[name]}.{name} as from rows")
                connection.unregister("rows")
        subprocess.run(
            [Path(sys.executable).with_name("dbt"), "--quiet", "run", "--project-dir", project,
             "--profiles-dir", project, "--target-path", f"{folder}/target", "--log-path", folder],
            env=os.environ | {"PHENOLAKE_DBT_DATABASE": str(database)}, check=True,
        )  # fmt: skip
        with duckdb.connect(str(database), read_only=True) as connection:
            return connection.sql("from marts.hits where not is_control").pl()


def judge_curves(tails: str, seeds: list[int]) -> None:
    """Print how often intervals hold the true EC50 and flags are right."""
    curves = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    for seed in seeds:
        wells, truth = screen(seed, tails)
        curves.append(fit_curves(wells, "value").join(truth, on="Metadata_Perturbation"))
    seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
    table = pl.concat(curves)
    active, inert = table.filter(~pl.col("inert")), table.filter("inert")
    # A null end is open: it excludes nothing.
    inside = active.select(
        (pl.col("ec50_low").fill_null(0) <= pl.col("true_ec50"))
        & (pl.col("true_ec50") <= pl.col("ec50_high").fill_null(np.inf))
    ).to_series()
    closed = active.drop_nulls(["ec50_low", "ec50_high"])
    factor = (closed["ec50_high"] / closed["ec50_low"]).median()
    print(f"{tails} noise, {len(seeds)} screens of {COMPOUNDS} compounds, seeds {seeds}")
    print(f"  true EC50 inside the interval   {inside.mean():.1%} of {active.height} active")
    print(
        f"  intervals with both ends        {closed.height / active.height:.1%}, "
        f"median high/low {factor:.2f}"
    )
    print(f"  no_activity right, inert        {inert['no_activity'].mean():.1%} of {inert.height}")
    print(f"  no_activity wrong, active       {active['no_activity'].mean():.1%}")
    print(f"  CPU per curve                   {1000 * seconds / table.height:.1f} ms")


def judge_hits(seeds: list[int]) -> None:
    """Print false discoveries, and how many treatments of active compounds are found, by design."""
    screens, truths = {}, []
    for design, (inert_share, plates) in DESIGNS.items():
        for tails in ("normal", "heavy"):
            for seed in seeds:
                name = f"{design}/{tails}/{seed}"
                screens[name], truth = screen(seed, tails, inert_share, plates)
                truths.append(truth.with_columns(pl.lit(name).alias("Metadata_Screen")))
    called = hits(screens).join(
        pl.concat(truths), on=["Metadata_Screen", "Metadata_Perturbation"]
    ).with_columns(pl.col("Metadata_Screen").str.extract("(.*)/").alias("kind"))  # fmt: skip
    print("false discoveries, mean over screens; discoveries; found of the active compounds' wells")
    for (kind,), rows in called.group_by(["kind"], maintain_order=True):
        for rule in ("q_value < 0.05", "is_hit"):
            found = rows.with_columns(pl.sql_expr(rule).fill_null(False).alias("found"))
            # A screen without a discovery has no false one.
            rates = found.group_by("Metadata_Screen").agg(
                (pl.col("inert") & pl.col("found")).sum()
                / pl.max_horizontal(pl.col("found").sum(), 1)
            )["inert"]
            power = found.filter(~pl.col("inert"))["found"].mean()
            print(
                f"  {kind:<32} {rule:<15} {rates.mean():>6.2%} +- {rates.std() / len(rates) ** 0.5:.2%}"
                f"  {found['found'].sum():>6}  {power:.1%}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[901, 902, 903, 904, 905])
    parser.add_argument("--hits-only", action="store_true")
    arguments = parser.parse_args()
    for tails in () if arguments.hits_only else ("normal", "heavy"):
        judge_curves(tails, arguments.seeds)
    judge_hits(arguments.seeds)


if __name__ == "__main__":
    main()
