"""Z', SSMD and V-factor: worked by hand, and at their edges."""

import numpy as np
import pytest

from phenolake import evaluation

NAN = float("nan")


def test_z_prime_by_hand():
    # means 10 and 2, sample SDs 1 and 1
    assert evaluation.z_prime([9, 10, 11], [1, 2, 3, NAN]) == pytest.approx(1 - 6 / 8)


def test_ssmd_by_hand_has_a_sign():
    assert evaluation.ssmd([9, 10, 11], [1, 2, 3]) == pytest.approx(8 / np.sqrt(2))
    assert evaluation.ssmd([1, 2, 3], [9, 10, 11]) == pytest.approx(-8 / np.sqrt(2))


def test_perfect_and_hopeless_assays():
    assert evaluation.z_prime([5, 5], [1, 1]) == 1
    assert evaluation.z_prime([1, 2], [1, 2]) == -np.inf
    assert np.isnan(evaluation.z_prime([1, 1], [1, 1]))
    assert np.isnan(evaluation.z_prime([1], [1, 2]))


def test_v_factor_by_hand():
    doses = [0, 0, 1, 1, 2, 2, 3]
    values = [0, 2, 4, 6, 8, 10, 9]
    # mean SD sqrt(2) over the doses with replicates; means span 1 to 9
    assert evaluation.v_factor(values, doses) == pytest.approx(1 - 6 * np.sqrt(2) / 8)


def test_v_factor_of_two_doses_is_z_prime():
    rng = np.random.default_rng(0)
    low, high = rng.normal(0, 1, 30), rng.normal(20, 2, 30)
    both = evaluation.v_factor(np.r_[low, high], np.repeat([0, 1], 30))
    assert both == pytest.approx(evaluation.z_prime(high, low))


def test_scale_and_offset_change_nothing():
    rng = np.random.default_rng(1)
    low, high = rng.normal(0, 1, 20), rng.normal(9, 1, 20)
    assert evaluation.z_prime(3 * high + 7, 3 * low + 7) == pytest.approx(
        evaluation.z_prime(high, low)
    )
