"""Induction, grit, similarity, clusters and bootstrap intervals, worked out on small tables."""

import numpy as np
import polars as pl
import pytest

from phenolake import evaluation
from phenolake.errors import ControlsMissingError
from phenolake.evaluation.confidence import bootstrap_interval

IS_CONTROL = pl.col("Metadata_Perturbation") == "DMSO"


def test_induction_is_the_share_of_changed_features():
    wells = pl.DataFrame(
        {"Metadata_Perturbation": ["a", "a", "a", "b"], "x": [4.0, 5, 0, 0], "y": [0.0, 9, 1, -3]}
    )
    table = evaluation.induction(wells, "Metadata_Perturbation")
    assert table.rows() == [("a", 3, 0.5), ("b", 1, 0.5)]


@pytest.fixture
def wells():
    rng = np.random.default_rng(0)
    names = ["DMSO"] * 8 + ["strong"] * 3 + ["weak"] * 3 + ["single"]
    signal = 8 * rng.normal(size=20)
    values = (
        rng.normal(size=(len(names), 20))
        + np.array([n == "strong" for n in names])[:, None] * signal
    )
    return pl.DataFrame(values, schema=[f"f{i}" for i in range(20)]).with_columns(
        Metadata_Plate=pl.lit("P1"), Metadata_Perturbation=pl.Series(names)
    )


def naive_grit(frame, name):
    values = frame.drop("^Metadata_.*$").to_numpy()
    of = frame["Metadata_Perturbation"].to_numpy()
    scores = []
    for i in np.flatnonzero(of == name):
        r = np.corrcoef(values)[i]
        controls, partners = r[of == "DMSO"], [r[j] for j in np.flatnonzero(of == name) if j != i]
        scores.append(np.mean((np.array(partners) - controls.mean()) / controls.std()))
    return np.mean(scores)


def test_grit_by_the_formula(wells):
    table = evaluation.grit(wells, "Metadata_Perturbation", IS_CONTROL)
    scores = dict(table.select("Metadata_Perturbation", "grit").iter_rows())
    for name in ("strong", "weak"):
        assert scores[name] == pytest.approx(naive_grit(wells, name))
    assert scores["strong"] > 3 > abs(scores["weak"])
    assert scores["single"] is None or np.isnan(scores["single"])


def test_grit_needs_controls_on_the_plate(wells):
    with pytest.raises(ControlsMissingError, match="plate P1"):
        evaluation.grit(wells.filter(~IS_CONTROL), "Metadata_Perturbation", IS_CONTROL)


def test_similarity_table_lists_the_nearest_first():
    frame = pl.DataFrame(
        {"Metadata_Perturbation": ["a", "b", "c"], "x": [1.0, 1, 0], "y": [0.0, 0.1, 1]}
    )
    table = evaluation.similarity_table(frame, "Metadata_Perturbation", 1)
    assert table["neighbour_Perturbation"].to_list() == ["b", "a", "b"]
    assert table["rank"].to_list() == [1, 1, 1]


def test_clusters_find_the_groups_and_order_the_leaves():
    rng = np.random.default_rng(1)
    group = np.array([0, 1, 2] * 5)
    frame = pl.DataFrame(10 * np.eye(3)[group] + rng.normal(size=(15, 3)) * 0.1, schema=list("xyz"))
    clusters = evaluation.cluster_profiles(frame)
    assert len(set(zip(group, clusters.labels, strict=True))) == 3
    assert np.count_nonzero(np.diff(group[clusters.order])) == 2
    assert clusters.labels[clusters.order].tolist() == sorted(clusters.labels)
    assert evaluation.cluster_profiles(frame[:1]).labels.tolist() == [1]


def test_interval_draws_whole_compounds():
    # Two compounds, each all right or all wrong: a draw can only give 0, 0.5 or 1.
    interval = bootstrap_interval(np.array([1, 1, 0, 0]), np.array(["a", "a", "b", "b"]))
    assert interval == (0, 1)
    assert np.isnan(bootstrap_interval(np.array([1.0, 0]), np.array(["a", "a"])).low)


def test_interval_of_many_compounds_is_that_of_the_normal_distribution():
    rng = np.random.default_rng(2)
    values = rng.normal(size=400)
    low, high = bootstrap_interval(values, np.arange(400))
    width = 2 * 1.96 * values.std() / 20
    assert high - low == pytest.approx(width, rel=0.1)
    assert low < values.mean() < high
    assert bootstrap_interval(values, np.arange(400)) == (low, high)
