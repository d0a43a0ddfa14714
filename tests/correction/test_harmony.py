"""Harmony: by what it promises, against harmonypy, and numpy against torch."""

import numpy as np
import polars as pl
import pytest

from phenolake import correction, evaluation
from phenolake.correction.harmony import HarmonySettings, harmonize

TYPES, BATCHES, SIZE = 8, 3, 1200


@pytest.fixture(scope="module")
def mixture():
    """Points of eight types in three batches that shift every type a little differently."""
    rng = np.random.default_rng(0)
    kind, batch = rng.integers(0, TYPES, SIZE), rng.integers(0, BATCHES, SIZE)
    centres = 3 * rng.normal(size=(TYPES, 10))
    shift = 1.5 * rng.normal(size=(BATCHES, 10))
    own = 0.5 * rng.normal(size=(BATCHES, TYPES, 10))
    points = centres[kind] + shift[batch] + own[batch, kind] + rng.normal(size=(SIZE, 10))
    return points.T, kind, batch


def gap_between_batches(points, kind, batch):
    """Mean distance of a type's batch means from each other."""
    return np.mean([
        np.linalg.norm(points[:, (kind == t) & (batch == a)].mean(1)
                       - points[:, (kind == t) & (batch == b)].mean(1))
        for t in range(TYPES) for a in range(BATCHES) for b in range(a)
    ])  # fmt: skip


def test_batches_of_a_type_meet_and_types_stay_apart(mixture):
    points, kind, batch = mixture
    fit = harmonize(points, batch)
    assert gap_between_batches(fit.corrected, kind, batch) < 0.25 * gap_between_batches(
        points, kind, batch
    )
    means = np.stack([fit.corrected[:, kind == t].mean(1) for t in range(TYPES)])
    apart = np.linalg.norm(means[:, None] - means, axis=2)
    assert apart[np.triu_indices(TYPES, 1)].min() > 3
    np.testing.assert_allclose(fit.members.sum(axis=0), 1, atol=1e-5)


def test_equal_to_harmonypy_as_far_as_its_own_seeds_agree(mixture):
    harmonypy = pytest.importorskip("harmonypy")
    import pandas as pd

    points, _, batch = mixture

    def peer(seed):
        done = harmonypy.run_harmony(
            points.T, pd.DataFrame({"b": batch.astype(str)}), "b", nclust=40, verbose=False,
            random_state=seed, ncores=1,
        )  # fmt: skip
        result = np.asarray(done.Z_corr)
        return result if result.shape == points.shape else result.T

    first, second = peer(0), peer(1)
    ours = harmonize(points, batch, HarmonySettings(clusters=40)).corrected
    moved = np.linalg.norm(first - points)
    assert np.linalg.norm(ours - first) / moved < max(
        0.02, 3 * np.linalg.norm(first - second) / moved
    )
    assert np.linalg.norm(ours - first) / moved < 0.05


def test_torch_gives_what_numpy_gives(mixture):
    points, _, batch = mixture
    settings = HarmonySettings(clusters=20, rounds=3)
    a, b = (harmonize(points, batch, settings, backend) for backend in ("numpy", "torch"))
    np.testing.assert_allclose(a.corrected, b.corrected, atol=2e-2)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_the_objective_is_the_one_of_the_paper(mixture, backend):
    points, _, batch = mixture
    settings = HarmonySettings(clusters=20, rounds=1)
    fit = harmonize(points, batch, settings, backend)
    # Members of the first round come from the points as they were.
    cosine = fit.centres.T @ (points / np.linalg.norm(points, axis=0))
    distance = (fit.members * 2 * (1 - cosine)).sum()
    entropy = (fit.members * np.log(fit.members + 1e-30)).sum()
    crowding = (fit.observed * np.log((fit.observed + 1) / (fit.expected + 1))).sum()
    assert fit.objective[1] == pytest.approx(
        distance + settings.sigma * (entropy + settings.theta * crowding), rel=1e-3
    )


def test_one_batch_is_left_where_it_is(mixture):
    points, _, batch = mixture
    fit = harmonize(points, np.zeros_like(batch))
    np.testing.assert_allclose(fit.corrected, points, atol=1e-3)


def test_harmony_makes_batches_of_wells_mix(mixture):
    points, kind, batch = mixture
    wells = pl.DataFrame(points.T, schema=[f"f{i}" for i in range(10)]).with_columns(
        Metadata_Batch=pl.Series(batch),
        Metadata_MOA=pl.Series(kind),
        Metadata_Perturbation=pl.Series(kind).cast(pl.String),
    )
    corrected = correction.correct(wells, "harmony_scrna", components=8)
    assert corrected.columns[-1] == "PC008"
    before, after = evaluation.batch_scores(wells), evaluation.batch_scores(corrected)
    assert after.batch_lisi > before.batch_lisi
    assert after.batch_kbet > before.batch_kbet
    assert after.moa_silhouette > before.moa_silhouette


def test_a_failed_well_stays_without_values(mixture):
    points, _, batch = mixture
    points = points.copy()
    points[:, 5] = np.nan
    wells = pl.DataFrame(points.T, schema=[f"f{i}" for i in range(10)]).with_columns(
        Metadata_Batch=pl.Series(batch)
    )
    corrected = correction.correct(wells, "harmony_scrna").drop("Metadata_Batch").to_numpy()
    assert np.isnan(corrected[5]).all()
    assert np.isfinite(np.delete(corrected, 5, axis=0)).all()
