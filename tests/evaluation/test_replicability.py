"""Replicability: the published share, and clear cases."""

import math

import numpy as np
import polars as pl
import pytest

from phenolake import evaluation


def wells(noise):
    rng = np.random.default_rng(0)
    signals = rng.normal(size=(8, 50))
    values = np.repeat(signals, 4, axis=0) + noise * rng.normal(size=(32, 50))
    frame = pl.DataFrame(values, schema=[f"f{i}" for i in range(50)])
    return frame.with_columns(Metadata_Perturbation=pl.Series(np.repeat(list("abcdefgh"), 4)))


def test_good_replicates_replicate_and_noise_does_not():
    for function in (evaluation.percent_replicating, evaluation.replicate_reproducibility):
        assert function(wells(0.1), "Metadata_Perturbation").share == 1
        assert function(wells(100.0), "Metadata_Perturbation").share < 0.4


def test_pairs_are_counted_per_perturbation():
    table = evaluation.replicate_reproducibility(wells(0.1), "Metadata_Perturbation").table
    assert table["pairs"].to_list() == [6] * 8
    assert table["above"].to_list() == [6] * 8


def test_without_replicates_there_is_no_share():
    single = wells(0.1)[::4]
    for function in (evaluation.percent_replicating, evaluation.replicate_reproducibility):
        result = function(single, "Metadata_Perturbation")
        assert math.isnan(result.share)
        assert result.table.is_empty()


def test_published_replicate_reproducibility(shared_data):
    profiles = pl.read_csv(
        shared_data / "pycytominer_stages" / "218360_normalized_feature_select.csv.gz",
        infer_schema_length=None,
    )
    by = ["Metadata_clone_number", "Metadata_treatment"]
    assert evaluation.replicate_reproducibility(profiles, by).share == pytest.approx(
        0.4583, abs=5e-5
    )
