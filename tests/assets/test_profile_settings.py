"""What a screen says of its profiles: adjusted versions, kept fits, plates without controls."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from phenolake.profiling.profile_settings import ProfileSettings
from phenolake.stages.profiles import normalize_wells, profile_wells
from phenolake.tables import NORMALIZED_PROFILES, SINGLE_CELL_FEATURES, WELL_PROFILES
from scenario import failure_of, installation
from terminal import call, user_at
from well_tables import wells_of

KEYS = ["Metadata_Plate", "Metadata_Well", "Metadata_Correction"]
#: Those of a screen that read profiles and nothing else.
ASSETS = (
    "feature_selection",
    "fitted_recipes",
    "batch_corrected_profiles",
    "consensus_profiles",
    "batch_scores",
    "profile_similarity",
    "replicate_scores",
)


class Home:
    """A screen `S` whose well profiles are written by hand."""

    def __init__(self, home, folder) -> None:
        self.home, self.lake, self.folder = home, home.lake, folder
        folder.mkdir()
        self.describe("corrections: [none, sphering]")
        home.add(folder)

    def describe(self, *lines: str) -> None:
        (self.folder / "screen.yaml").write_text("\n".join(["name: S", *lines]) + "\n")

    def add(self, plate: str, control: str | None = "negcon", seed: int = 0) -> None:
        self.home.instance.add_dynamic_partitions("plates", [f"S__{plate}"])
        where = {"Metadata_Screen": "S", "Metadata_Plate": plate}
        self.lake.write(WELL_PROFILES, wells_of(plate, control, seed), where)

    def run(self, *assets: str, job: str = "screen_job", partition: str = "S"):
        """Materialize these assets in one run."""
        result = self.home.definitions.resolve_job_def(job).execute_in_process(
            instance=self.home.instance,
            partition_key=partition,
            asset_selection=[dg.AssetKey(asset) for asset in assets],
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        assert result.success, failure_of(result)
        return result

    def corrected(self) -> pl.DataFrame:
        return self.lake.read("batch_corrected_profiles").sort(KEYS)


@pytest.fixture
def screen(tmp_path):
    with installation(tmp_path / "home") as home:
        yield Home(home, tmp_path / "S")


def metadata(result, asset):
    (event,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in event.metadata.items()}


def test_a_plate_without_controls_is_left_out_and_the_others_go_on(screen):
    screen.add("P1", seed=1)
    screen.add("P2", seed=2)
    screen.add("P3", control=None, seed=3)
    result = screen.run(*ASSETS)
    failed = {e.check_name for e in result.get_asset_check_evaluations() if not e.passed}
    assert failed == {"inputs_are_sound", "every_plate_has_controls"}
    refused = screen.lake.read("quarantine")
    assert refused.select("Metadata_Plate", "stage", "problem", "got").rows() == [
        ("P3", "fitted_recipes", "no_controls", "0")
    ]
    assert set(screen.corrected()["Metadata_Plate"]) == {"P1", "P2"}
    # Once its controls are marked it takes part, and its row in quarantine goes.
    screen.add("P3", seed=3)
    screen.run("fitted_recipes", "batch_corrected_profiles")
    assert screen.lake.read("quarantine").is_empty()
    assert set(screen.corrected()["Metadata_Plate"]) == {"P1", "P2", "P3"}


def test_kept_fits_never_move_earlier_plates(screen):
    screen.describe("corrections: [none, sphering, tvn]", "profiles: {refit: false}")
    screen.add("P1", seed=1)
    screen.add("P2", seed=2)
    screen.run("fitted_recipes", "batch_corrected_profiles")
    before = screen.corrected()
    screen.add("P9", seed=9)
    result = screen.run("fitted_recipes", "batch_corrected_profiles")
    assert metadata(result, "fitted_recipes")["fits kept from before"] == 3
    after = screen.corrected()
    assert after.height == 3 * 72
    features = [name for name in after.columns if not name.startswith("Metadata_")]
    earlier = after.filter(pl.col("Metadata_Plate") != "P9")
    np.testing.assert_allclose(
        earlier.select(features).to_numpy(), before.select(features).to_numpy(), atol=1e-9
    )
    fits = screen.lake.read("fitted_recipes")
    assert fits["plates"].to_list() == [["P1", "P2"]] * 3
    # Another recipe is fitted anew.
    screen.describe("corrections: [sphering]", "recipe: robust", "profiles: {refit: false}")
    screen.run("fitted_recipes")
    (row,) = screen.lake.read("fitted_recipes").iter_rows(named=True)
    assert row["plates"] == ["P1", "P2", "P9"]


def test_the_command_corrects_a_plate_that_the_screen_does_not_have(screen, tmp_path):
    screen.add("P1", seed=1)
    screen.add("P2", seed=2)
    screen.run("fitted_recipes", "batch_corrected_profiles")
    profiles, out = tmp_path / "later.csv", tmp_path / "corrected.parquet"
    # The same wells under another name: the fit puts them where they were.
    later = wells_of("P2", "negcon", 2).with_columns(Metadata_Plate=pl.lit("P7"))
    later.drop("Metadata_Batch").write_csv(profiles)
    with user_at(tmp_path / "home"):
        answer = call("correct", profiles, out, "--screen", "S")
        unknown = call("correct", profiles, out, "--screen", "S", "--correction", "spherng")
    assert answer.status == 0, answer.errors
    assert "24 wells of 1 plates, sphering" in answer.output
    there = screen.corrected().filter(Metadata_Correction="sphering", Metadata_Plate="P2")
    corrected = pl.read_parquet(out).sort("Metadata_Well")
    features = [name for name in corrected.columns if not name.startswith("Metadata_")]
    np.testing.assert_allclose(
        corrected.select(features).to_numpy(), there.select(features).to_numpy(), atol=1e-8
    )
    assert unknown.status != 0
    assert "Did you mean 'sphering'?" in unknown.errors


def test_adjusted_versions_lie_beside_those_without(screen):
    screen.describe(
        "corrections: [none, sphering]",
        "profiles: {adjustments: [well_position, cell_density], consensus: modz}",
    )
    screen.add("P1", seed=1)
    screen.add("P2", seed=2)
    screen.run(*ASSETS)
    names = ["none", "sphering"]
    names += [f"{name}+well_position+cell_density" for name in names]
    for table in ("batch_corrected_profiles", "consensus_profiles", "batch_scores"):
        assert set(screen.lake.read(table)["Metadata_Correction"]) == set(names)
    consensus = screen.lake.read("consensus_profiles")
    assert consensus["Metadata_Consensus"].unique().to_list() == ["modz"]
    recipes = set(screen.lake.read("feature_selection")["recipe"])
    assert recipes <= {"moa_default", "moa_default+well_position+cell_density"}


def documented(start: str) -> str:
    """The query of docs/profiles.md that starts so."""
    text = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text()
    (query,) = (block for block in text.split("\n\n") if block.strip().startswith(start))
    return query


def test_one_query_says_what_a_profile_is_and_how_it_was_corrected(screen):
    screen.add("P1", seed=1)
    screen.add("P2", seed=2)
    screen.run("fitted_recipes", "batch_corrected_profiles")
    answer = screen.lake.sql(documented("select distinct p.Metadata_Plate")).filter(
        Metadata_Plate="P2", Metadata_Correction="sphering"
    )
    (row,) = answer.iter_rows(named=True)
    assert '"method": "sphering", "regularization": 0.03' in row["Metadata_Recipe"]
    assert row["Metadata_Reference"] == "Metadata_ControlType == 'negcon'"
    assert (row["Metadata_InputTable"], row["Metadata_InputVersion"]) == (
        "well_profiles",
        screen.lake.version("well_profiles"),
    )
    assert row["Metadata_FitVersion"] == screen.lake.version("fitted_recipes")
    assert row["fitted_on"] == ["P1", "P2"]
    commits = screen.lake.sql(documented("select c.version"))
    assert dict(commits.select("input_table", "input_version").iter_rows()) == {
        "well_profiles": row["Metadata_InputVersion"],
        "fitted_recipes": row["Metadata_FitVersion"],
    }
    assert json.loads(commits["parameters"][0])["corrections"] == ["none", "sphering"]


def cells_of(plate: str, seed: int = 0) -> pl.DataFrame:
    """Two wells of 30 cells; in A02 the two features go together."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=60)
    second = np.where(np.arange(60) < 30, rng.normal(size=60), first)
    return pl.DataFrame(
        {
            "Metadata_Screen": "S",
            "Metadata_Batch": "B1",
            "Metadata_Plate": plate,
            "Metadata_Well": ["A01"] * 30 + ["A02"] * 30,
            "Metadata_Site": pl.Series([1] * 60, dtype=pl.Int32),
            "Metadata_ObjectNumber": pl.Series([*range(1, 31)] * 2, dtype=pl.Int32),
            "Nuclei_Texture_A": pl.Series(first, dtype=pl.Float32),
            "Nuclei_Texture_B": pl.Series(second, dtype=pl.Float32),
        }
    )


def test_how_cells_differ_is_a_table_where_it_is_asked_for(screen):
    where = {"Metadata_Screen": "S", "Metadata_Plate": "P1"}
    screen.add("P1")
    cells = cells_of("P1")
    screen.lake.write(SINGLE_CELL_FEATURES, cells, where)
    plate = {"job": "plate_job", "partition": "S__P1"}
    screen.run("well_heterogeneity", **plate)
    assert screen.lake.read("well_heterogeneity").is_empty()
    screen.describe("profiles: {heterogeneity: true}")
    screen.run("well_heterogeneity", **plate)
    rows = screen.lake.read("well_heterogeneity")
    assert rows["Metadata_CellCount"].to_list() == [30, 30]
    spread = cells.filter(Metadata_Well="A01")["Nuclei_Texture_A"].cast(pl.Float64)
    mad = (spread - spread.median()).abs().median() * 1.4826
    assert rows["Nuclei_Texture_A_mad"][0] == pytest.approx(mad, rel=1e-6)
    assert sum(name.startswith("Covariance_") for name in rows.columns) == 200


def test_a_well_with_few_cells_has_no_values():
    settings = ProfileSettings(min_cells=31, statistic="mean")
    profiles = profile_wells(
        cells_of("P1").lazy(),
        wells_of("P1").select("Metadata_Screen", "Metadata_Plate", "Metadata_Well"),
        pl.DataFrame(),
        settings=settings,
    )
    assert profiles["Metadata_CellCount"].to_list() == [30, 30]
    assert profiles["Nuclei_Texture_A"].is_nan().all()


def test_normalized_profiles_are_kept_with_and_without_adjustments():
    normalized = normalize_wells(wells_of("P1", "negcon"), adjustments=("well_position",))
    assert normalized["Metadata_Normalization"].unique().sort().to_list() == [
        "mad_robustize",
        "mad_robustize+well_position",
        "standardize",
        "standardize+well_position",
    ]
    plain = normalize_wells(wells_of("P1", "negcon"))
    kept = normalized.filter(~pl.col("Metadata_Normalization").str.contains("position"))
    assert kept.equals(plain)
    assert NORMALIZED_PROFILES.accepts("Metadata_InputVersion")


def odd(plate: str, name: str, value: object) -> pl.Expr:
    here = pl.col("Metadata_Plate") == plate
    return pl.when(here).then(value).otherwise(pl.col(name)).alias(name)


FEATURE = "Nuclei_Texture_F3"


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (odd("P2", FEATURE, float("nan")), "nothing_is_lost", ("missing_feature", "plate P2", FEATURE)),
        (odd("P2", FEATURE, 3.0), "nothing_is_lost", ("constant_controls", "plate P2", FEATURE)),
        (odd("P2", FEATURE, float("inf")), "inputs_are_sound", ("infinite_values", "plate P2", FEATURE)),
        (odd("P2", "Metadata_Well", pl.lit("A01")), "inputs_are_sound", ("duplicated_well", "plate P2", "A01")),
        (odd("P2", "Metadata_Batch", pl.lit("B2")), "nothing_is_lost", ("one_plate_batch", "batch B2")),
        (
            odd("P2", "Metadata_Perturbation", pl.col("Metadata_Perturbation").str.to_uppercase()),
            "inputs_are_sound",
            ("two_spellings", "drug1", "DRUG1"),
        ),
        (
            [odd("P2", "Metadata_Batch", pl.lit("B2")), odd("P2", "Metadata_Perturbation", pl.lit("new"))],
            "nothing_is_lost",
            ("one_batch_only", "batch B2", "new"),
        ),
        (None, "nothing_is_lost", ("one_well", "plate P2")),
    ],
)  # fmt: skip
def test_bad_input_is_a_failed_check_that_names_plate_and_feature(screen, change, check, words):
    for number, plate in enumerate(("P1", "P2", "P3")):
        wells = wells_of(plate, "negcon", number)
        if change is None and plate == "P2":
            wells = wells.head(1)
        elif change is not None:
            wells = wells.with_columns(change)
        where = {"Metadata_Screen": "S", "Metadata_Plate": plate}
        screen.lake.write(WELL_PROFILES, wells, where)
    result = screen.run("feature_selection")
    checks = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert not checks[check].passed
    told = str(checks[check].metadata["problems"].value)
    assert all(word in told for word in words), told
