"""The marts, built by dbt over a small lake and compared with numbers worked out by hand."""

from __future__ import annotations

import math
import re

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.special import gamma
from scipy.stats import false_discovery_control, norm
from scipy.stats import t as student_t

from phenolake.evaluation import v_factor
from phenolake.tables.dbt_sources import READOUT_VALUES
from phenolake_assets.dbt_project import sources_of_models

TREATMENTS = 60


@pytest.fixture(scope="module")
def random_wells() -> pa.Table:
    """Treatments of one to four wells, with robust z from 0 to far away."""
    rng = np.random.default_rng(0)
    rows = []
    for treatment in range(TREATMENTS):
        shift = rng.choice([0, 0, 0, 2, 4, 8])
        rows += [
            {
                "Metadata_Screen": "R",
                "Metadata_Plate": f"R{replicate}",
                "Metadata_Well": f"{chr(65 + treatment // 24)}{treatment % 24 + 1:02d}",
                "Metadata_Perturbation": f"compound {treatment}",
                "Metadata_ControlType": "trt",
                "Metadata_CellCount": 1,
                "readout": "Metadata_CellCount",
                "value": 1.0,
                "z_score": rng.normal(shift),
            }
            for replicate in range(rng.integers(1, 5))
        ]
    return pa.Table.from_pylist(rows, schema=READOUT_VALUES.arrow_schema())


@pytest.fixture(scope="module")
def screen_with_controls() -> pa.Table:
    """Two plates with 16 controls, 60 inert and 10 active treatments, a well of each per plate."""
    rng = np.random.default_rng(1)
    names = ["DMSO"] * 16 + [f"inert {i}" for i in range(60)] + [f"active {i}" for i in range(10)]
    return readouts(
        [
            {
                "Metadata_Screen": "T",
                "Metadata_Plate": plate,
                "Metadata_Well": f"{chr(65 + i // 24)}{i % 24 + 1:02d}",
                "Metadata_Perturbation": name,
                "Metadata_ControlType": "negcon" if name == "DMSO" else "trt",
                "value": offset + rng.normal(12 * name.startswith("active")),
                "z_score": 12.0 * name.startswith("active"),
            }
            for plate, offset in (("T1", 100), ("T2", 300))
            for i, name in enumerate(names)
        ]
    )


@pytest.fixture(scope="module")
def heavy_screen() -> pa.Table:
    """Three plates with 16 controls and 120 treatments; all differ by heavy-tailed noise alone."""
    rng = np.random.default_rng(3)
    names = ["DMSO"] * 16 + [f"inert {i}" for i in range(120)]
    return readouts(
        [
            {
                "Metadata_Screen": "H",
                "Metadata_Plate": plate,
                "Metadata_Well": f"{chr(65 + i // 24)}{i % 24 + 1:02d}",
                "Metadata_Perturbation": name,
                "Metadata_ControlType": "negcon" if name == "DMSO" else "trt",
                "value": rng.standard_t(3),
                "z_score": 0.0,
            }
            for plate in ("H1", "H2", "H3")
            for i, name in enumerate(names)
        ]
    )


@pytest.fixture(scope="module")
def screen_with_doses() -> pa.Table:
    """One plate of three rows and four columns, a dose per column."""
    rng = np.random.default_rng(2)
    return readouts(
        [
            {
                "Metadata_Screen": "D",
                "Metadata_Plate": "D1",
                "Metadata_Well": f"{row}{column:02d}",
                "Metadata_Perturbation": "drug",
                "Metadata_Concentration": float(column),
                "Metadata_ConcentrationUnit": "uM",
                "Metadata_ControlType": "trt",
                "value": 10.0 * column + rng.normal(),
            }
            for row in "ABC"
            for column in (1, 2, 3, 4)
        ]
    )


def readouts(rows: list[dict]) -> pa.Table:
    measured = {"readout": "Metadata_CellCount", "Metadata_CellCount": 1}
    return pa.Table.from_pylist(
        [row | measured for row in rows], schema=READOUT_VALUES.arrow_schema()
    )


@pytest.fixture(scope="module")
def built(dbt_build, two_plates_and_more):
    build = dbt_build(two_plates_and_more)
    assert build.exit_status == 0, build.output
    assert "WARN" not in build.output.replace("WARN=0", ""), build.output
    return build


@pytest.fixture(scope="module")
def marts(built) -> dict[str, pl.DataFrame]:
    return built.marts()


def test_every_query_of_the_cookbook_is_answered(built, repository):
    text = (repository / "docs" / "cookbook.md").read_text(encoding="utf-8")
    queries = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    assert len(queries) >= 25
    with duckdb.connect(str(built.database), read_only=True) as connection:
        for query in queries:
            assert connection.sql(query).columns, query


def plate_row(marts: dict[str, pl.DataFrame], plate: str, group: str) -> dict:
    chosen = (pl.col("Metadata_Plate") == plate) & (pl.col("control_group") == group)
    return marts["plate_quality"].filter(chosen).row(0, named=True)


def hit_row(marts: dict[str, pl.DataFrame], perturbation: str) -> dict:
    rows = marts["hits"].filter(Metadata_Screen="S", Metadata_Perturbation=perturbation)
    return rows.row(0, named=True)


def test_marts_are_tables_of_the_schema_marts(marts):
    assert sorted(marts) == [
        "batch_comparison", "dose_response", "hits", "image_quality_summary",
        "lineage", "moa_matches", "model_comparison", "phenotype_shares",
        "plate_quality", "screen_summary", "similar_perturbations",
    ]  # fmt: skip


def test_sites_and_cells_are_counted_per_control_group(marts):
    row = plate_row(marts, "P1", "top")
    assert (row["wells"], row["wells_profiled"]) == (6, 6)
    assert (row["sites"], row["sites_segmented"], row["sites_lost"]) == (12, 11, 1)
    assert (row["cell_count"], row["cells_per_site"]) == (6 * 2 + 5 * 3, 2)
    assert (row["blurred_sites"], row["blurred_fraction"]) == (1, pytest.approx(1 / 12))
    assert row["focus_score"] == 3
    assert row["quarantined"] == 2


def test_z_prime_uses_the_controls_of_the_group(marts):
    row = plate_row(marts, "P1", "top")
    assert (row["negcon_wells"], row["poscon_wells"], row["has_controls"]) == (2, 2, True)
    assert row["poscon_perturbation"] == "killer"
    # Means 11 and 102, sample SDs sqrt 2 and 2 sqrt 2.
    assert row["z_prime"] == pytest.approx(1 - 3 * 3 * math.sqrt(2) / 91)
    assert row["ssmd"] == pytest.approx(91 / math.sqrt(2 + 8))


def test_group_without_negative_controls_is_judged_against_those_of_the_plate(marts):
    row = plate_row(marts, "P1", "low")
    assert (row["negcon_wells"], row["negcon_mean"]) == (2, 11)
    assert row["z_prime"] == pytest.approx(1 - 3 * 2 * math.sqrt(2) / 50)
    assert (row["wells"], row["wells_profiled"]) == (4, 3)


def test_plate_without_enough_controls_has_no_z_prime(marts):
    row = plate_row(marts, "P2", "plate")
    assert (row["negcon_wells"], row["poscon_wells"], row["has_controls"]) == (1, 0, False)
    assert row["negcon_sd"] is row["z_prime"] is row["ssmd"] is None


def test_refused_plate_is_shown_with_nothing_on_it(marts):
    row = plate_row(marts, "P3", "plate")
    assert (row["quarantined"], row["sites"], row["wells"]) == (1, 0, 0)
    assert row["z_prime"] is row["cells_per_site"] is None


def test_effect_is_the_distance_from_the_controls_of_each_plate(marts):
    row = hit_row(marts, "drug")
    # 21 against 11 on one plate, 43 against 30 on the other; the well without a value is left out.
    assert (row["wells"], row["plates"]) == (2, 2)
    assert (row["median_value"], row["median_z"], row["effect"]) == (32, 6, 11.5)
    assert row["replicate_sd"] == pytest.approx(3 / math.sqrt(2))
    assert row["ssmd"] == pytest.approx(11.5 / math.sqrt(4.5 + 2))
    assert (row["replicate_agreement"], row["is_control"]) == (1, False)
    assert row["well_names"] == "P1 A05, P2 A02"


def test_p_value_has_the_variance_and_the_freedom_of_controls_and_replicates(marts):
    row = hit_row(marts, "drug")
    # Two controls and one well weigh 2/3, one control and one well 1/2; of the controls only those
    # of P1 have a variance, 2; the replicates' is 4.5. Two treatments tell of no spread.
    effect, weight = (2 / 3 * 10 + 1 / 2 * 13) / (7 / 6), 7 / 6
    assert (row["t_freedom"], row["prior_freedom"]) == (2, 1)
    assert row["null_model"] == "controls and replicates"
    assert row["t_score"] == pytest.approx(effect * math.sqrt(weight / 3.25))
    assert row["p_value"] == pytest.approx(2 * student_t.sf(row["t_score"], 2), rel=0.25)
    # Of the two tests of treatments this is the smaller p.
    assert row["q_value"] == pytest.approx(2 * row["p_value"])
    assert row["is_hit"] == (row["q_value"] < 0.05)


def test_controls_are_flagged_and_kept(marts):
    killer, dmso = hit_row(marts, "killer"), hit_row(marts, "DMSO")
    assert killer["is_control"]
    assert killer["p_value"] < 0.05
    assert (dmso["is_control"], dmso["is_hit"], dmso["p_value"]) == (True, False, 1)


def test_infinite_z_score_counts_as_missing(marts):
    row = hit_row(marts, "dud")
    assert (row["wells"], row["median_z"], row["is_hit"]) == (2, 0, False)


def test_wells_without_perturbation_are_no_treatment(marts):
    assert marts["hits"].filter(Metadata_Screen="S").height == 4


def test_p_and_q_values_equal_scipys(marts, random_wells):
    rows = marts["hits"].filter(Metadata_Screen="R")
    z = random_wells.to_pandas().groupby("Metadata_Perturbation")["z_score"]
    combined = (z.sum() / np.sqrt(z.count())).loc[rows["Metadata_Perturbation"].to_list()]
    p = 2 * norm.sf(np.abs(combined.to_numpy()))
    assert rows.height == TREATMENTS
    np.testing.assert_allclose(rows["p_value"], p, rtol=1e-11)
    np.testing.assert_allclose(rows["q_value"], false_discovery_control(p), rtol=1e-11)
    hits = (rows["q_value"] < 0.05) & (rows["median_z"].abs() >= 3)
    assert 0 < hits.sum() < TREATMENTS
    assert rows["is_hit"].to_list() == hits.to_list()


def test_few_treatments_without_effect_are_hits(marts, screen_with_controls):
    rows = marts["hits"].filter(Metadata_Screen="T", is_control=False)
    expected, freedom = reference_p_values(screen_with_controls.to_pandas())
    p = rows["p_value"].to_numpy()
    assert rows["prior_freedom"].unique().to_list() == [freedom]
    np.testing.assert_allclose(p, expected[rows["Metadata_Perturbation"].to_list()], rtol=0.25)
    np.testing.assert_allclose(rows["q_value"], false_discovery_control(p), rtol=1e-9)
    active = rows["Metadata_Perturbation"].str.starts_with("active")
    assert rows.filter(active)["is_hit"].all()
    assert (rows.filter(~active)["q_value"] < 0.05).sum() <= 1


def test_heavy_tails_lessen_what_the_controls_variance_counts_for(marts, heavy_screen):
    rows = marts["hits"].filter(Metadata_Screen="H", is_control=False)
    expected, freedom = reference_p_values(heavy_screen.to_pandas())
    assert rows["prior_freedom"].unique().to_list() == [freedom]
    assert freedom < 15, "the controls have 45 degrees of freedom"
    p = rows["p_value"].to_numpy()
    np.testing.assert_allclose(p, expected[rows["Metadata_Perturbation"].to_list()], rtol=0.05)
    assert (rows["q_value"] < 0.05).sum() == 0, "nothing in it differs from the controls"


def reference_p_values(wells):
    """Moderated t test of each treatment blocked by plate, and the prior degrees of freedom."""
    control = wells[wells["Metadata_ControlType"] == "negcon"].groupby("Metadata_Plate")["value"]
    freedom = (control.count() - 1).sum()
    variance = ((control.count() - 1) * control.var()).sum() / freedom
    treated = wells[wells["Metadata_ControlType"] == "trt"]
    tests, own_sds, own_variances = {}, [], []
    for name, rows in treated.groupby("Metadata_Perturbation"):
        of_plate = rows.groupby("Metadata_Plate")["value"]
        weight = 1 / (1 / of_plate.count() + 1 / control.count())
        effect = (weight * (of_plate.mean() - control.mean())).sum() / weight.sum()
        differences = rows["value"] - rows["Metadata_Plate"].map(control.mean())
        own, own_freedom = differences.var(), len(rows) - 1
        tests[name] = (effect, weight.sum(), own, own_freedom)
        normal = np.sqrt(2 / own_freedom) * gamma((own_freedom + 1) / 2) / gamma(own_freedom / 2)
        own_sds.append(np.sqrt(own) / normal)
        own_variances.append(own)
    evenness = np.mean(own_sds) ** 2 / np.mean(own_variances)
    allowed = np.arange(3, freedom + 1)
    expected = (gamma((allowed - 1) / 2) / gamma(allowed / 2)) ** 2 * (allowed - 2) / 2
    prior = min(freedom, 2 + (expected <= evenness).sum())
    answers = {}
    for name, (effect, weight, own, own_freedom) in tests.items():
        moderated = (prior * variance + own_freedom * own) / (prior + own_freedom)
        score = abs(effect) * np.sqrt(weight / moderated)
        answers[name] = 2 * student_t.sf(score, prior + own_freedom)
    return pd.Series(answers), prior


def test_v_factor_and_place_on_the_plate_are_those_of_the_engine(marts, screen_with_doses):
    wells = screen_with_doses.to_pandas()
    row = marts["plate_quality"].filter(Metadata_Screen="D").row(0, named=True)
    assert row["v_factor"] == pytest.approx(
        v_factor(wells["value"], wells["Metadata_Concentration"])
    )
    assert row["v_factor_perturbation"] == "drug"
    # Rows A and C and columns 1 and 4 are the edge of three rows by four columns.
    assert row["edge_wells"] == 10
    inner = wells[wells["Metadata_Well"].isin(["B02", "B03"])]["value"]
    outer = wells[~wells["Metadata_Well"].isin(["B02", "B03"])]["value"]
    spread = 1.4826 * (wells["value"] - wells["value"].median()).abs().median()
    assert row["edge_effect"] == pytest.approx((outer.median() - inner.median()) / spread)
    column = wells["Metadata_Well"].str[1:].astype(int)
    assert row["column_gradient"] == pytest.approx(np.corrcoef(wells["value"], column)[0, 1])


def test_curve_without_activity_has_no_midpoint(marts):
    rows = {row["response"]: row for row in marts["dose_response"].iter_rows(named=True)}
    flat, steep = rows["flat"], rows["steep"]
    assert (flat["ec50"], flat["span"], flat["zero"]) == (None, None, 10)
    assert (steep["ec50"], steep["span"], steep["half_maximal_response"]) == (2, 20, 20)


def test_shares_of_a_well_add_up_to_one(marts):
    shares = marts["phenotype_shares"].filter(Metadata_Well="A01")
    assert dict(shares.select("label", "share").iter_rows()) == {"dead": 0.25, "round": 0.75}
    assert shares["Metadata_Perturbation"].unique().to_list() == ["DMSO"]


def test_models_are_compared_on_validation_cells_alone(marts):
    row = marts["model_comparison"].row(0, named=True)
    assert (row["cells"], row["validation_cells"], row["classes"]) == (6, 4, 2)
    assert row["accuracy"] == 0.75
    assert row["balanced_accuracy"] == pytest.approx((1 + 2 / 3) / 2)
    assert (row["worst_class"], row["novel_share"]) == ("round", pytest.approx(1 / 6))


def test_part_older_than_its_input_is_stale(marts):
    rows = {row["table_name"]: row for row in marts["lineage"].iter_rows(named=True)}
    assert rows["normalized_profiles"]["is_stale"]
    assert rows["normalized_profiles"]["newer_inputs"] == "well_profiles"
    assert rows["normalized_profiles"]["inputs"] == "well_profiles 0"
    assert (rows["well_profiles"]["version"], rows["well_profiles"]["is_stale"]) == (1, False)


def test_tidying_an_input_makes_nothing_stale(marts):
    rows = {row["table_name"]: row for row in marts["lineage"].iter_rows(named=True)}
    assert rows["normalized_profiles"]["version"] == 0
    assert not rows["batch_corrected_profiles"]["is_stale"]
    assert rows["batch_corrected_profiles"]["inputs"] == "normalized_profiles 0"


def test_sources_of_a_mart_are_found_through_other_models(built):
    sources = sources_of_models(built.database.parent / "target" / "manifest.json")
    assert sources["lineage"] == {"table_commits"}
    assert "readout_values" in sources["hits"]
    assert sources["moa_matches"] == sources["similar_perturbations"] != set()


def test_screen_without_controls_still_has_a_summary(marts):
    row = marts["screen_summary"].filter(Metadata_Screen="R").row(0, named=True)
    assert (row["plates"], row["plates_with_controls"], row["treatments"]) == (4, 0, TREATMENTS)
    assert row["median_z_prime"] is None


def test_summary_counts_each_well_and_treatment_once(marts):
    row = marts["screen_summary"].filter(Metadata_Screen="S").row(0, named=True)
    assert (row["plates"], row["plates_with_controls"], row["wells"]) == (3, 1, 13)
    assert (row["sites"], row["sites_lost"], row["quarantined"]) == (26, 2, 3)
    assert row["cell_count"] == 27 + 20 + 12
    assert (row["treatments"], row["hits"]) == (2, 1)


def test_doubled_readout_fails_the_build_and_is_named(dbt_build, two_plates):
    wells = two_plates["readout_values"]
    build = dbt_build(two_plates | {"readout_values": pa.concat_tables([wells, wells.slice(0, 1)])})
    assert build.exit_status == 1
    assert "unique_combination_gold_readout_values" in build.output


def test_empty_lake_gives_empty_marts(dbt_build, two_plates):
    build = dbt_build({name: rows.slice(0, 0) for name, rows in two_plates.items()})
    assert build.exit_status == 0, build.output
    assert {mart.height for mart in build.marts().values()} == {0}


def test_image_quality_counts_images_and_sites_by_flag(marts):
    chosen = (pl.col("Metadata_Plate") == "P1") & (pl.col("channel") == "GFP")
    row = marts["image_quality_summary"].filter(chosen).row(0, named=True)
    assert (row["images"], row["blurred_images"], row["unusable_images"]) == (20, 1, 0)
    assert row["median_focus_score"] == 4.0
