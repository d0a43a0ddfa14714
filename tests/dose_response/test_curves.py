"""Fits of single curves: exact data, intervals, flags, and plates at different levels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from phenolake.dose_response import CurveLimits, curve_values, fit_curve
from phenolake.dose_response.activity import trend_p_values
from phenolake.dose_response.hill import dose_axis
from phenolake.errors import ConfigurationError

DOSES = np.r_[np.zeros(8), np.repeat(np.geomspace(0.01, 30, 8), 2)]


def noisy(ec50: float, sd: float, seed: int = 0, span: float = 20, hill: float = 1.3):
    noise = np.random.default_rng(seed).normal(0, sd, DOSES.size)
    return curve_values(DOSES, 10, 10 + span, ec50, hill) + noise


def test_curve_is_halfway_at_the_ec50():
    assert curve_values([0, 2], zero=10, full=30, ec50=2, hill=1.7).tolist() == [10, 20]
    assert curve_values([2], 0, 1, ec50=2, hill=1, ordinal=True).tolist() == [0.5]


@settings(max_examples=12, deadline=None)
@given(
    ec50=st.floats(0.05, 10),
    hill=st.floats(0.5, 3),
    zero=st.floats(-100, 100),
    span=st.floats(1, 100) | st.floats(-100, -1),
)
def test_noiseless_curve_is_found_again(ec50, hill, zero, span):
    curve = fit_curve(DOSES, curve_values(DOSES, zero, zero + span, ec50, hill))
    assert curve.ec50 == pytest.approx(ec50, rel=1e-2)
    assert curve.hill == pytest.approx(hill, rel=2e-2)
    assert curve.full - curve.zero == pytest.approx(span, rel=1e-2)
    assert curve.flag == "ok"


def test_estimates_equal_those_of_scipys_curve_fit():
    values = noisy(0.7, sd=1)

    def model(dose, zero, full, log_ec50, hill):
        return curve_values(dose, zero, full, np.exp(log_ec50), hill)

    expected, _ = curve_fit(model, DOSES, values, p0=(10, 30, 0, 1))
    curve = fit_curve(DOSES, values)
    assert curve.zero == pytest.approx(expected[0], rel=1e-3)
    assert curve.full == pytest.approx(expected[1], rel=1e-3)
    assert curve.ec50 == pytest.approx(np.exp(expected[2]), rel=1e-3)
    assert curve.hill == pytest.approx(expected[3], rel=1e-3)


def test_interval_ends_where_the_constrained_fit_is_worse_by_the_f_quantile():
    from scipy.optimize import least_squares
    from scipy.stats import f

    values = noisy(0.7, sd=3)
    curve = fit_curve(DOSES, values)

    def error(ec50):
        def residuals(p):
            return curve_values(DOSES, p[0], p[1], ec50, np.exp(p[2])) - values

        return 2 * least_squares(residuals, (10, 30, 0)).cost

    freedom = DOSES.size - 4
    limit = error(curve.ec50) * (1 + f.ppf(0.95, 1, freedom) / freedom)
    for end in curve.ec50_interval:
        assert error(end) == pytest.approx(limit, rel=0.01)


def test_flat_response_is_flagged_and_a_trend_is_not():
    assert fit_curve(DOSES, noisy(1, sd=1, span=0)).flag == "no_activity"
    assert fit_curve(DOSES, noisy(1, sd=1)).flag == "ok"


def test_equal_values_are_no_activity():
    assert fit_curve(DOSES, np.full(DOSES.size, 7.0)).no_activity


def test_half_maximum_above_every_dose_is_flagged_and_its_interval_open():
    curve = fit_curve(DOSES, noisy(300, sd=0.3, span=100))
    assert curve.outside_tested_range
    assert curve.ec50_interval[1] > 300


def test_response_that_falls_again_is_a_poor_fit():
    rise = curve_values(DOSES, 10, 30, 0.1, 2) - curve_values(DOSES, 0, 20, 3, 3)
    assert fit_curve(DOSES, rise + np.random.default_rng(0).normal(0, 0.5, DOSES.size)).poor_fit


def test_plates_at_different_levels_do_not_blur_the_curve():
    values = np.r_[noisy(0.7, 0.5, seed=1), noisy(0.7, 0.5, seed=2) + 500]
    plates = ["a"] * DOSES.size + ["b"] * DOSES.size
    curve = fit_curve(np.r_[DOSES, DOSES], values, plates)
    assert curve.ec50 == pytest.approx(0.7, rel=0.1)
    assert curve.residual_sd < 1
    assert curve.zero == pytest.approx(260, abs=1)


def test_missing_values_are_left_out():
    values = noisy(0.7, sd=1)
    holes = np.r_[values, np.nan]
    assert fit_curve(np.r_[DOSES, 5.0], holes) == fit_curve(DOSES, values)


def test_order_of_wells_does_not_matter():
    values = noisy(0.7, sd=1)
    order = np.random.default_rng(3).permutation(DOSES.size)
    shuffled, straight = fit_curve(DOSES[order], values[order]), fit_curve(DOSES, values)
    assert shuffled.ec50 == pytest.approx(straight.ec50)
    assert shuffled.activity_p == straight.activity_p


def test_two_doses_are_too_few():
    with pytest.raises(ConfigurationError, match="got 2 doses"):
        fit_curve([0, 0, 0, 1, 1, 2, 2], [1, 2, 3, 4, 5, 6, 7])
    assert CurveLimits().doses == 3


def test_trend_test_keeps_its_level():
    noise = np.random.default_rng(11).normal(size=(2000, DOSES.size))
    p = trend_p_values(noise, dose_axis(DOSES, False), np.zeros(DOSES.size, int))
    assert 0.035 < (p < 0.05).mean() < 0.065
    assert 0.004 < (p < 0.01).mean() < 0.018


def test_true_ec50_is_in_the_interval_and_inert_compounds_are_named():
    inside, inert = [], []
    rng = np.random.default_rng(21)
    for seed in range(40):
        truth = 10 ** rng.uniform(-1, 0.7)
        low, high = fit_curve(DOSES, noisy(truth, sd=3, seed=seed)).ec50_interval
        inside.append(low <= truth <= high)
        inert.append(fit_curve(DOSES, noisy(1, sd=3, seed=1000 + seed, span=0)).no_activity)
    assert np.mean(inside) >= 0.9
    assert np.mean(inert) >= 0.95
