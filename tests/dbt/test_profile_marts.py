"""Marts over similarity and batch scores, each worked out by hand on a few rows."""

import pyarrow as pa
import pytest

from phenolake.tables import BATCH_SCORES, PROFILE_SIMILARITY, TABLES
from phenolake.tables.dbt_sources import FOR_DBT


def pair(perturbation, moa, rank, other, other_moa, similarity):
    return {
        "Metadata_Screen": "S",
        "Metadata_Correction": "none",
        "Metadata_Perturbation": perturbation,
        "Metadata_Concentration": 1.0,
        "Metadata_ConcentrationUnit": "uM",
        "Metadata_MOA": moa,
        "cluster": 1,
        "rank": rank,
        "neighbour_Perturbation": other,
        "neighbour_Concentration": 1.0,
        "neighbour_ConcentrationUnit": "uM",
        "neighbour_MOA": other_moa,
        "similarity": similarity,
    }


PAIRS = [
    pair("a", "X", 1, "a", "X", 0.99),  # another dose of itself
    pair("a", "X", 2, "unknown", None, 0.9),
    pair("a", "X", 3, "b", "X", 0.8),
    pair("a", "X", 4, "c", "Y", 0.7),
    pair("unknown", None, 1, "c", "Y", 0.6),
    pair("c", "Y", 1, "a", "X", 0.7),
]


def score(correction, name, about, better, value):
    return {
        "Metadata_Screen": "S",
        "Metadata_Correction": correction,
        "score": name,
        "about": about,
        "better": better,
        "value": value,
    }


SCORES = [
    score("none", "batch_kbet", "batch", "higher", 0.2),
    score("sphering", "batch_kbet", "batch", "higher", 0.6),
    score("none", "nscb", "biology", "higher", 0.7),
    score("sphering", "nscb", "biology", "higher", 0.9),
    score("none", "moa_lisi", "biology", "lower", 1.1),
    score("sphering", "moa_lisi", "biology", "lower", 1.3),
    score("none", "same_batch_by_chance", "batch", None, 0.1),
]


@pytest.fixture(scope="module")
def marts(dbt_build):
    contents = {
        name: table.arrow_schema().empty_table()
        for name, table in {**TABLES, **{table.name: table for table in FOR_DBT}}.items()
    } | {
        "profile_similarity": pa.Table.from_pylist(PAIRS, schema=PROFILE_SIMILARITY.arrow_schema()),
        "batch_scores": pa.Table.from_pylist(SCORES, schema=BATCH_SCORES.arrow_schema()),
    }
    build = dbt_build(contents)
    assert build.exit_status == 0, build.output
    return build.marts()


def test_doses_of_the_perturbation_itself_are_not_similar_perturbations(marts):
    rows = marts["similar_perturbations"].filter(Metadata_Perturbation="a")
    assert rows["similar_perturbation"].to_list() == ["unknown", "b", "c"]
    assert rows["similarity_rank"].to_list() == [1, 2, 3]


def test_the_nearest_with_a_mechanism_predicts(marts):
    rows = {row["Metadata_Perturbation"]: row for row in marts["moa_matches"].iter_rows(named=True)}
    assert (rows["a"]["predicted_moa"], rows["a"]["nearest_perturbation"]) == ("X", "b")
    assert (rows["a"]["is_match"], rows["a"]["votes_of_five"]) == (True, 1)
    assert rows["a"]["similarity"] == 0.8
    assert rows["c"]["is_match"] is False
    assert (rows["unknown"]["predicted_moa"], rows["unknown"]["is_match"]) == ("Y", None)


def test_corrections_are_placed_by_the_better_end_of_each_score(marts):
    rows = {
        row["Metadata_Correction"]: row for row in marts["batch_comparison"].iter_rows(named=True)
    }
    assert (rows["none"]["batch_kbet"], rows["none"]["same_batch_by_chance"]) == (0.2, 0.1)
    assert (rows["sphering"]["mean_place_batch"], rows["none"]["mean_place_batch"]) == (1, 2)
    assert rows["none"]["mean_place_biology"] == rows["sphering"]["mean_place_biology"] == 1.5
