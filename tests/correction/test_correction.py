"""Batch correction: what each method promises about the controls, and that nothing is silent."""

import numpy as np
import polars as pl
import pytest

from phenolake import correction, evaluation
from phenolake.correction.methods import fit_sphering
from phenolake.errors import ConfigurationError, ControlsMissingError, UnknownNameError

IS_CONTROL = pl.col("Metadata_ControlType") == "negcon"


@pytest.fixture
def wells():
    """Three batches with their own offset and correlated nuisance; 40 controls, 20 treated each."""
    rng = np.random.default_rng(7)
    mixing = rng.normal(size=(6, 6))
    frames = []
    for batch in range(3):
        values = rng.normal(size=(60, 6)) @ mixing + 3 * rng.normal(size=6)
        frames.append(
            pl.DataFrame(values, schema=[f"f{i}" for i in range(6)]).select(
                pl.lit(f"b{batch}").alias("Metadata_Batch"),
                pl.Series("Metadata_ControlType", ["negcon"] * 40 + ["trt"] * 20),
                pl.all(),
            )
        )
    return pl.concat(frames)


def controls(frame):
    return frame.filter(IS_CONTROL).drop("^Metadata_.*$").to_numpy()


def test_none_changes_nothing(wells):
    assert correction.correct(wells, "none").equals(wells)


def test_mean_centring_puts_the_controls_of_every_batch_at_zero(wells):
    corrected = correction.correct(wells, "mean_centring", reference=IS_CONTROL)
    for _, rows in corrected.group_by("Metadata_Batch"):
        np.testing.assert_allclose(controls(rows).mean(axis=0), 0, atol=1e-12)
    assert corrected["Metadata_Batch"].equals(wells["Metadata_Batch"])


@pytest.mark.parametrize("kind", ["ZCA", "ZCA-cor", "PCA", "PCA-cor"])
def test_sphered_controls_are_uncorrelated_with_unit_variance(wells, kind):
    corrected = correction.correct(
        wells, "sphering", reference=IS_CONTROL, kind=kind, regularization=1e-10
    )
    np.testing.assert_allclose(np.cov(controls(corrected).T, ddof=0), np.eye(6), atol=1e-6)
    np.testing.assert_allclose(controls(corrected).mean(axis=0), 0, atol=1e-9)


def test_zca_cor_is_the_inverse_root_of_the_correlation(wells):
    sphering = fit_sphering(wells, IS_CONTROL, kind="ZCA-cor", regularization=1e-12)
    x = controls(wells)
    eigenvalues, vectors = np.linalg.eigh(np.corrcoef(x.T))
    expected = (vectors / np.sqrt(eigenvalues)) @ vectors.T / x.std(axis=0)
    np.testing.assert_allclose(sphering.weights, expected, atol=1e-8)


def test_zca_stays_closest_to_the_original_features(wells):
    corrected = correction.correct(wells, "sphering", reference=IS_CONTROL)
    assert [c for c in corrected.columns if c.startswith("f")] == [f"f{i}" for i in range(6)]
    pca = correction.correct(wells, "sphering", reference=IS_CONTROL, kind="PCA")
    assert pca.columns[-1] == "PC006"


def test_more_features_than_controls_stay_finite(wells):
    few = wells[:4]
    corrected = correction.correct(few, "sphering", reference=IS_CONTROL)
    assert np.isfinite(corrected.drop("^Metadata_.*$").to_numpy()).all()


def test_sphering_is_learned_once_and_applied_to_other_wells(wells, tmp_path):
    sphering = fit_sphering(wells[:60], IS_CONTROL)
    sphering.save(tmp_path / "sphering.safetensors")
    again = correction.Sphering.load(tmp_path / "sphering.safetensors")
    assert again.features == sphering.features
    assert again.kind == "ZCA-cor"
    other = wells[60:].select(pl.all().shuffle(seed=1))
    assert again.transform(other).equals(sphering.transform(other))
    with pytest.raises(UnknownNameError, match="'f3'"):
        again.transform(other.drop("f3"))


def test_tvn_aligns_the_controls_of_batches(wells):
    def spread_between_batches(frame):
        means = [controls(rows).mean(axis=0) for _, rows in frame.group_by("Metadata_Batch")]
        return np.var(means, axis=0).sum() / controls(frame).var(axis=0).sum()

    corrected = correction.correct(wells, "tvn", reference=IS_CONTROL)
    assert spread_between_batches(corrected) < 1e-6 < spread_between_batches(wells)


def test_correction_makes_batches_mix(wells):
    before = evaluation.batch_scores(wells)
    after = evaluation.batch_scores(correction.correct(wells, "mean_centring"))
    assert before.same_batch_neighbours > 0.9
    assert after.same_batch_neighbours < 0.6
    assert after.batch_silhouette < before.batch_silhouette


@pytest.mark.parametrize("method", ["mean_centring", "sphering", "tvn"])
def test_features_with_gaps_are_dropped_with_a_warning(wells, method):
    gappy = wells.with_columns(f2=pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise("f2"))
    assert correction.incomplete_features(gappy) == ["f2"]
    with pytest.warns(correction.FeaturesDroppedWarning, match=r"1 of 6 .*f2") as caught:
        corrected = correction.correct(gappy, method, reference=IS_CONTROL)
    assert caught[0].message.dropped == ["f2"]
    assert "f2" not in corrected.columns
    assert corrected.height == wells.height


def test_a_failed_well_does_not_cost_the_features(wells):
    features = [f"f{i}" for i in range(6)]
    failed = wells.with_columns(
        pl.when(pl.int_range(pl.len()) == 0)
        .then(float("nan"))
        .otherwise(pl.col(features))
        .name.keep()
    )
    assert correction.incomplete_features(failed) == []
    for method in ("sphering", "mean_centring", "tvn"):
        corrected = correction.correct(failed, method, reference=IS_CONTROL).select(features)
        assert np.isnan(corrected[:1].to_numpy()).all()
        assert np.isfinite(corrected[1:].to_numpy()).all()


def test_errors_name_what_is_missing(wells):
    with pytest.raises(UnknownNameError, match="sphering"):
        correction.correct(wells, "spherize")
    with pytest.raises(UnknownNameError, match="ZCA-cor"):
        correction.correct(wells, "sphering", kind="ZCA_cor")
    with pytest.raises(ConfigurationError, match="positive"):
        correction.correct(wells, "sphering", regularization=0)
    with pytest.raises(ControlsMissingError, match="b2"):
        correction.correct(wells[:120].vstack(wells[170:]), "mean_centring", reference=IS_CONTROL)
    with pytest.raises(ConfigurationError, match="none of 6"):
        correction.correct(
            wells.with_columns(pl.col("^f.*$").replace(wells["f0"][0], None)).with_columns(
                pl.when(pl.int_range(pl.len()) == 1)
                .then(None)
                .otherwise(pl.col("^f[1-5]$"))
                .name.keep()
            ),
            "sphering",
        )
