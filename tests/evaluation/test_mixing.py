"""Neighbourhoods: kBET, LISI and connectivity by hand, against harmonypy, and on extremes."""

import numpy as np
import polars as pl
import pytest

from phenolake import evaluation
from phenolake.evaluation.mixing import graph_connectivity, kbet_acceptance, local_diversity
from phenolake.evaluation.neighbours import nearest


def frame_of(points, **columns):
    names = [f"f{i}" for i in range(points.shape[1])]
    return pl.DataFrame(points, schema=names).with_columns(
        **{f"Metadata_{name}": pl.Series(values) for name, values in columns.items()}
    )


def test_nearest_rows_agree_with_the_sorted_list():
    points = np.random.default_rng(0).normal(size=(30, 4))
    rows, similarity = nearest(frame_of(points), 5)
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -2)
    np.testing.assert_array_equal(rows, np.argsort(-cosine, axis=1)[:, :5])
    np.testing.assert_allclose(similarity, -np.sort(-cosine, axis=1)[:, :5])


def test_more_neighbours_than_rows_are_all_rows():
    rows, _ = nearest(frame_of(np.eye(3)), 10)
    assert rows.shape == (3, 2)


def test_kbet_accepts_random_batches_and_refuses_separate_ones():
    rng = np.random.default_rng(1)
    batch = rng.integers(0, 2, 400)
    mixed = rng.normal(size=(400, 5))
    apart = mixed + 20 * batch[:, None]
    shares = []
    for points in (mixed, apart - apart.mean(axis=0)):
        rows, _ = nearest(frame_of(points), 30)
        shares.append(kbet_acceptance(rows, batch))
    assert shares[0] > 0.85
    assert shares[1] == 0


def test_one_batch_has_no_kbet():
    assert np.isnan(kbet_acceptance(np.zeros((4, 2), int), np.zeros(4, int)))


def test_diversity_of_even_neighbours_is_their_number_of_labels():
    neighbours = np.tile(np.arange(1, 5), (5, 1))
    labels = np.array([0, 0, 0, 1, 1])
    same_distance = np.ones((5, 4))
    np.testing.assert_allclose(local_diversity(same_distance, neighbours, labels), 2)
    np.testing.assert_allclose(local_diversity(same_distance, neighbours, np.zeros(5, int)), 1)


def test_diversity_agrees_with_harmonypy():
    lisi = pytest.importorskip("harmonypy.lisi")
    import pandas as pd
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(2)
    points = rng.normal(size=(300, 5))
    labels = rng.integers(0, 3, 300)
    theirs = lisi.compute_lisi(
        points, pd.DataFrame({"b": labels.astype(str)}), ["b"], perplexity=10
    )
    distance, rows = NearestNeighbors(n_neighbors=31).fit(points).kneighbors(points)
    ours = local_diversity(distance[:, 1:], rows[:, 1:], labels, perplexity=10)
    np.testing.assert_allclose(ours, np.asarray(theirs).ravel(), rtol=0.15)
    assert np.corrcoef(ours, np.asarray(theirs).ravel())[0, 1] > 0.95


def test_connectivity_by_hand():
    # 0-1 and 2-3 are linked; label 0 = {0, 1, 2} falls into {0, 1} and {2}; label 1 is {3} alone.
    neighbours = np.array([[1], [0], [3], [2]])
    assert graph_connectivity(neighbours, np.array([0, 0, 0, 1])) == pytest.approx(2 / 3)


def test_corrections_are_compared_in_one_table():
    rng = np.random.default_rng(3)
    kind, batch = np.repeat([0, 1, 2], 40), np.tile([0, 1], 60)
    centres = 4 * rng.normal(size=(3, 6))
    good = centres[kind] + rng.normal(size=(120, 6))
    bad = good + 6 * np.eye(6)[batch]
    columns = {
        "Batch": batch, "Plate": batch, "Perturbation": [f"c{k}{i % 3}" for i, k in enumerate(kind)],
        "MOA": kind.astype(str),
    }  # fmt: skip
    table = evaluation.compare_corrections(
        {"none": frame_of(bad, **columns), "ideal": frame_of(good, **columns)}
    )
    value = {(r["correction"], r["score"]): r["value"] for r in table.iter_rows(named=True)}
    for score in ("batch_kbet", "batch_lisi", "moa_silhouette", "graph_connectivity"):
        assert value["ideal", score] >= value["none", score], score
    assert value["ideal", "same_batch_neighbours"] < value["none", "same_batch_neighbours"]
    row = table.filter(correction="ideal", score="nscb").row(0, named=True)
    assert row["low"] <= row["value"] <= row["high"]
    assert table["score"].n_unique() == 12


def test_every_score_has_an_interval_over_compounds():
    rng = np.random.default_rng(5)
    kind, batch = np.repeat(np.arange(6), 20), np.tile([0, 1], 60)
    values = 3 * rng.normal(size=(6, 8))[kind] + rng.normal(size=(120, 8))
    frame = frame_of(
        values, Batch=batch, Plate=batch, MOA=(kind // 2).astype(str),
        Perturbation=[f"c{k}" for k in kind],
    )  # fmt: skip
    table = evaluation.compare_corrections({"none": frame})
    assert table.select("low", "high").null_count().row(0) == (0, 0)
    assert table.select((pl.col("low") <= pl.col("value")).all()).item()
    assert table.select((pl.col("value") <= pl.col("high")).all()).item()
    drop = table.filter(score="drop").row(0, named=True)
    parts = {name: table.filter(score=name)["value"].item() for name in ("nsc", "nscb")}
    assert drop["value"] == pytest.approx(parts["nsc"] - parts["nscb"])
    # One compound alone tells nothing of others.
    alone = evaluation.compare_corrections(
        {"none": frame.with_columns(Metadata_Perturbation=pl.lit("c"))}
    )
    assert alone.filter(pl.col("score") != "nsc")["low"].is_null().all()
