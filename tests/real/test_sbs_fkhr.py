"""A real plate (FKHR-GFP translocation, BBBC013): eleven lines of `screen.yaml` to dose trends."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from scipy.stats import spearmanr

from phenolake.cli.ingest import MODELS
from phenolake.lake import Lake
from phenolake.tables import TABLES
from terminal import call, user_at

pytestmark = pytest.mark.slow

CONFIG = Path(__file__).parent / "sbs_fkhr" / "screen.yaml"
READOUT = "Cells_Translocation_CoreRingRatio_GFP"
DRUGS = ("wortmannin", "LY294002")


TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


@pytest.fixture(scope="module")
def lake(shared_data, tmp_path_factory) -> Iterator[Lake]:
    folder = shared_data / "sbs_fkhr_plate"
    if not folder.is_dir():
        pytest.skip("the FKHR-GFP plate is not among the shared data")
    with user_at(tmp_path_factory.mktemp("home")) as home:
        answer = call("ingest", folder, "--config", CONFIG, "--no-models")
        assert answer.status == 0, answer.errors
        yield Lake(str(home / "tables"))


def test_fifteen_lines_describe_the_screen():
    assert len(CONFIG.read_text().splitlines()) <= 15


def test_every_table_and_mart_is_there(lake):
    made = {name for _, name in lake.tables()}
    # Nothing is refused; models, of cells or of whole fields, were not asked for.
    assert made >= set(TABLES) - {*MODELS, "field_predictions", "quarantine"}
    assert made >= {"plate_quality", "hits", "screen_summary"}


def test_no_site_is_lost(lake):
    assert lake.read("raw_image_catalog").height == 2 * 72
    masks = lake.read("segmentation_masks", columns=["Metadata_Well", "compartment"])
    assert masks.group_by("compartment").len().sort("compartment").rows() == [
        ("Cells", 72),
        ("Cytoplasm", 72),
        ("Nuclei", 72),
    ]
    assert lake.sql("select sum(sites_lost) as n from marts.plate_quality")["n"].item() == 0


def test_the_plate_has_as_many_nuclei_as_others_counted(lake):
    masks = lake.read("segmentation_masks", columns=["compartment", "object_count"])
    nuclei = masks.filter(pl.col("compartment") == "Nuclei")["object_count"].sum()
    assert 11_500 <= nuclei <= 13_500
    assert lake.read("single_cell_features", columns=["Metadata_Well"]).height == nuclei


@pytest.mark.parametrize(("drug", "least"), [("wortmannin", 0.90), ("LY294002", 0.70)])
def test_controls_are_far_apart(lake, drug, least):
    quality = lake.read("plate_quality").filter(
        pl.col("control_group") == drug, pl.col("readout") == READOUT
    )
    assert quality["z_prime"].item() >= least


@pytest.mark.parametrize("drug", DRUGS)
def test_the_response_follows_the_dose(lake, drug):
    doses = (
        lake.read("hits")
        .filter(
            pl.col("Metadata_Perturbation") == drug,
            pl.col("Metadata_Concentration").is_between(1, 9),
            pl.col("readout") == READOUT,
        )
        .sort("Metadata_Concentration")
    )
    assert doses["Metadata_Concentration"].to_list() == list(range(1, 10))
    assert abs(spearmanr(doses["Metadata_Concentration"], doses["median_value"]).statistic) >= 0.9


@pytest.mark.parametrize("drug", DRUGS)
def test_half_the_response_is_reached_between_the_fourth_and_the_fifth_dose(lake, drug):
    # The midpoint depends on the measure: that of the readout, another ratio, lies 0.2 higher.
    curve = lake.read("dose_response").filter(
        pl.col("Metadata_Perturbation") == drug,
        pl.col("response") == "Cells_Translocation_NucleiCytoplasmRatio_GFP",
    )
    row = curve.row(0, named=True)
    assert row["flag"] == "ok"
    assert 4 < row["ec50_low"] < row["ec50"] < row["ec50_high"] < 5
    assert (row["wells"], row["doses"]) == (27, 9)


@pytest.mark.parametrize("drug", DRUGS)
def test_active_wells_are_named(lake, drug):
    hits = lake.sql(
        f"select * from marts.hits where readout = '{READOUT}' and is_hit and not is_control "
        f"and Metadata_Perturbation = '{drug}' order by Metadata_Concentration"
    )
    assert set(range(5, 10)) <= set(hits["Metadata_Concentration"])
    rows = {name[-3] for names in hits["well_names"] for name in names.split(", ")}
    assert rows <= (set("ABCD") if drug == "wortmannin" else set("EFGH"))


@pytest.mark.parametrize("page", ["tutorial.md", "exports.md"])
def test_commands_of_a_page_run(lake, tmp_path, monkeypatch, page):
    monkeypatch.chdir(tmp_path)
    text = (TUTORIAL.parent / page).read_text(encoding="utf-8")
    commands = [shlex.split(c) for c in re.findall(r"^phenolake (.*)$", text, re.MULTILINE)]
    # The fixture has ingested the plate; a server would not end, nor does a window.
    run = [words for words in commands if words[0] not in ("ingest", "explore", "napari")]
    assert len(run) >= 9
    for words in run:
        words = [*words, "--no-pdf"] if words[0] == "report" else words
        answer = call(*words)
        assert answer.status == 0, (words, answer.errors)
        assert answer.output or "--out" in words  # the answer is in the file


def test_description_in_the_tutorial_is_the_one_that_is_tested():
    written = re.search(r"```yaml\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL)
    assert written[1] == CONFIG.read_text(encoding="utf-8")


def test_wells_without_drug_keep_the_protein_out_of_the_nucleus(lake):
    """The drugs stop the export from the nucleus, so that the ratio is larger with them."""
    ratio = (
        lake.read("well_profiles").group_by("Metadata_ControlType").agg(pl.col(READOUT).median())
    )
    by_type = dict(ratio.iter_rows())
    assert by_type["negcon"] < 1 < by_type["poscon"]
