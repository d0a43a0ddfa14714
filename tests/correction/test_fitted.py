"""Fitted corrections: learned once, saved, and extended by batches that come later."""

import numpy as np
import polars as pl
import pytest

from phenolake import correction
from phenolake.correction import fit_correction, load_correction
from phenolake.correction.combat import posterior
from phenolake.errors import ControlsMissingError, ModelFileError, UnknownNameError

IS_CONTROL = pl.col("Metadata_ControlType") == "negcon"
FEATURES = [f"f{i}" for i in range(6)]
BY_BATCH = ["mean_centring", "combat", "coral", "tvn", "harmony_scrna"]


@pytest.fixture(scope="module")
def wells():
    """Three batches with offset and scale of their own; 40 controls, 20 treated each."""
    rng = np.random.default_rng(7)
    mixing = rng.normal(size=(6, 6))
    frames = []
    for batch in range(3):
        values = (1 + batch) * rng.normal(size=(60, 6)) @ mixing + 3 * rng.normal(size=6)
        frames.append(
            pl.DataFrame(values, schema=FEATURES).select(
                pl.lit(f"b{batch}").alias("Metadata_Batch"),
                pl.Series("Metadata_ControlType", ["negcon"] * 40 + ["trt"] * 20),
                pl.all(),
            )
        )
    return pl.concat(frames)


def controls(frame):
    return frame.filter(IS_CONTROL).drop("^Metadata_.*$").to_numpy()


@pytest.mark.parametrize("method", ["sphering", *BY_BATCH[:-1]])
def test_fit_and_transform_is_correct(wells, method):
    fitted = fit_correction(wells, method, reference=IS_CONTROL)
    direct = correction.correct(wells, method, reference=IS_CONTROL)
    assert fitted.transform(wells).equals(direct)


@pytest.mark.parametrize("method", ["sphering", *BY_BATCH])
def test_a_saved_correction_is_the_same_correction(wells, method, tmp_path):
    fitted = fit_correction(wells, method, reference=IS_CONTROL)
    fitted.save(tmp_path / "c.safetensors")
    again = load_correction(tmp_path / "c.safetensors")
    assert type(again) is type(fitted)
    assert again.transform(wells).equals(fitted.transform(wells))


@pytest.mark.parametrize("method", BY_BATCH)
def test_a_new_batch_does_not_move_the_old_ones(wells, method):
    old, new = wells[:120], wells[120:]
    fitted = fit_correction(old, method, reference=IS_CONTROL)
    with pytest.raises(ControlsMissingError, match="batch b2"):
        fitted.transform(wells)
    extended = fitted.extended(wells, IS_CONTROL)
    both = extended.transform(wells)
    assert both[:120].equals(fitted.transform(old))
    shift = np.abs(controls(both[120:]).mean(axis=0) - controls(both[:120]).mean(axis=0)).mean()
    raw = np.abs(controls(new).mean(axis=0) - controls(old).mean(axis=0)).mean()
    assert shift < 0.6 * raw


@pytest.mark.parametrize("content", [None, b"other bytes", b""])
def test_a_file_that_holds_no_correction_is_named(tmp_path, content):
    path = tmp_path / "fit.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelFileError, match="not a stored correction"):
        load_correction(path)


def test_a_batch_without_controls_is_named(wells):
    few = wells.filter((pl.col("Metadata_Batch") != "b1") | ~IS_CONTROL)
    for method in BY_BATCH[:-1]:
        with pytest.raises(ControlsMissingError, match="batch b1"):
            correction.correct(few, method, reference=IS_CONTROL)


def test_unknown_parameters_are_named(wells):
    with pytest.raises(UnknownNameError, match="regularisation"):
        correction.correct(wells, "coral", regularisation=1)
    with pytest.raises(UnknownNameError, match="thetas"):
        correction.correct(wells, "harmony_scrna", thetas=1)


def test_coral_gives_every_batch_the_covariance_of_all(wells):
    corrected = correction.correct(wells, "coral", reference=IS_CONTROL, regularization=1e-9)
    expected = np.cov(controls(wells).T, ddof=0)
    for _, rows in corrected.group_by("Metadata_Batch"):
        np.testing.assert_allclose(np.cov(controls(rows).T, ddof=0), expected, rtol=1e-5, atol=1e-5)


def naive_combat(values, batches):
    """ComBat as in Johnson et al., written with loops; values (feature, well)."""
    mean = values.mean(axis=1, keepdims=True)
    residual = np.concatenate(
        [values[:, batches == b] - values[:, batches == b].mean(axis=1, keepdims=True)
         for b in np.unique(batches)], axis=1
    )  # fmt: skip
    sd = np.sqrt((residual**2).mean(axis=1, keepdims=True))
    z = (values - mean) / sd
    result = np.empty_like(values)
    for b in np.unique(batches):
        own = z[:, batches == b]
        n = own.shape[1]
        gamma, delta = own.mean(axis=1), own.var(axis=1, ddof=1)
        gbar, t2 = gamma.mean(), gamma.var(ddof=1)
        m, s2 = delta.mean(), delta.var(ddof=1)
        a, beta = (2 * s2 + m**2) / s2, (m * s2 + m**3) / s2
        for g in range(len(values)):
            gs, ds = gamma[g], delta[g]
            for _ in range(1000):
                gs = (n * t2 * gamma[g] + ds * gbar) / (n * t2 + ds)
                ds = (beta + 0.5 * ((own[g] - gs) ** 2).sum()) / (n / 2 + a - 1)
            result[g, batches == b] = sd[g] / np.sqrt(ds) * (own[g] - gs) + mean[g]
    return result


def test_combat_equals_the_paper_written_out(wells):
    values = wells.select(FEATURES).to_numpy().T
    expected = naive_combat(values, wells["Metadata_Batch"].to_numpy().astype(str))
    corrected = correction.correct(wells, "combat").select(FEATURES).to_numpy().T
    np.testing.assert_allclose(corrected, expected, atol=1e-4)


def test_combat_leaves_a_constant_feature_alone(wells):
    flat = wells.with_columns(f0=pl.lit(3.0))
    assert correction.correct(flat, "combat")["f0"].unique().to_list() == [3.0]


def test_one_feature_is_not_shrunk():
    shift, variance = posterior(np.array([[1.0, 2.0, 3.0]]))
    assert (shift[0], variance[0]) == (2, 1)
