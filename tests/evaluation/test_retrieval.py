"""Mean average precision: by hand, against the rule spelled out, against copairs' numbers."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenolake import evaluation
from phenolake.errors import ConfigurationError
from phenolake.evaluation.retrieval import average_precision
from phenolake.evaluation.retrieval_null import NullDistributions, adjusted_p_values

IS_CONTROL = pl.col("Metadata_ControlType") == "negcon"


def test_average_precision_by_hand():
    # ranks of the positives: 1 and 3
    assert average_precision(np.array([0.2, 0.9]), np.array([0.5, 0.1])) == pytest.approx(5 / 6)
    assert average_precision(np.array([0.9]), np.array([0.5])) == 1


def test_on_a_tie_the_negative_ranks_first():
    assert average_precision(np.array([0.5, 0.5]), np.array([0.5])) == pytest.approx(
        (1 / 2 + 2 / 3) / 2
    )


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_average_precision_agrees_with_the_ranked_list(seed):
    rng = np.random.default_rng(seed)
    positive = rng.integers(0, 6, rng.integers(1, 6))
    negative = rng.integers(0, 6, rng.integers(1, 9))
    ranked = sorted([(-s, 1) for s in positive] + [(-s, 0) for s in negative])
    hits, precisions = 0, []
    for rank, (_, is_positive) in enumerate(ranked, start=1):
        hits += is_positive
        if is_positive:
            precisions.append(hits / rank)
    assert average_precision(positive, negative) == pytest.approx(np.mean(precisions))


@pytest.fixture
def wells():
    """Two plates: `strong` has a direction of its own, `weak` is noise, 6 controls each."""
    rng = np.random.default_rng(3)
    rows = []
    for plate in ("P1", "P2"):
        for name, kind, count in (("strong", "trt", 3), ("weak", "trt", 3), ("DMSO", "negcon", 6)):
            for _ in range(count):
                profile = rng.normal(size=10) + (np.r_[20, np.zeros(9)] if name == "strong" else 0)
                rows.append((plate, name, kind, *profile))
    names = ["Metadata_Plate", "Metadata_Perturbation", "Metadata_ControlType"]
    return pl.DataFrame(rows, schema=names + [f"f{i}" for i in range(10)], orient="row")


def test_strong_perturbation_is_retrieved(wells):
    result = evaluation.mean_average_precision(wells, reference=IS_CONTROL, null_size=2000)
    table = {row["Metadata_Perturbation"]: row for row in result.table.iter_rows(named=True)}
    assert table["strong"]["mean_average_precision"] == 1
    assert table["strong"]["p_value"] < 0.05 < table["weak"]["p_value"]
    assert result.n == 2
    assert result.significant == (result.table["q_value"] < 0.05).mean()
    assert "DMSO" not in result.queries["Metadata_Perturbation"]
    assert result.queries.select("positives", "negatives").unique().rows() == [(2, 6)]


def test_positives_can_be_asked_of_other_plates(wells):
    rows = {
        where: evaluation.mean_average_precision(
            wells, reference=IS_CONTROL, positives=where, null_size=10
        ).queries["positives"][0]
        for where in ("same_plate", "other_plates", "all")
    }
    assert rows == {"same_plate": 2, "other_plates": 3, "all": 5}


def test_negatives_can_be_other_treatments(wells):
    result = evaluation.mean_average_precision(
        wells, reference=IS_CONTROL, negatives="others", null_size=10
    )
    assert result.queries["negatives"].unique().to_list() == [3]


def test_queries_without_positives_or_negatives_are_not_scored(wells):
    lonely = wells.filter((pl.col("Metadata_Plate") == "P1") | ~IS_CONTROL)[[0, 3, 4, 6, 7, 12, 13]]
    result = evaluation.mean_average_precision(lonely, reference=IS_CONTROL, null_size=10)
    assert result.table["Metadata_Perturbation"].to_list() == ["weak"]
    assert result.queries["average_precision"].is_nan().sum() == 3


def test_same_seed_same_p_values_and_none_is_zero(wells):
    first, second = (
        evaluation.mean_average_precision(wells, reference=IS_CONTROL, null_size=50, seed=1).table
        for _ in range(2)
    )
    assert first.equals(second)
    assert first["p_value"].min() >= 1 / 51


def test_controls_need_a_reference(wells):
    with pytest.raises(ConfigurationError, match="reference"):
        evaluation.mean_average_precision(wells)


def test_null_of_one_positive_among_two_is_known():
    null = NullDistributions(20_000, 0).of(1, 1)  # ranks 1 or 2, equally likely
    assert set(null) == {0.5, 1.0}
    assert null.mean() == pytest.approx(0.75, abs=0.01)


def test_p_values_of_small_configurations_are_exact():
    null = NullDistributions(100, 0)
    # Two positives among four: six rankings, of which one puts both first.
    assert null.p_value(1.0, [(2, 2)]) == pytest.approx(1 / 6)
    assert null.p_value(0.1, [(2, 2), (2, 2)]) == 1
    assert null.exact(5, 20) is None


@pytest.mark.parametrize(("positives", "negatives"), [(1, 3), (2, 4), (3, 3)])
def test_exact_p_values_are_what_sampling_tends_to(positives, negatives):
    every = NullDistributions(1000, 0).exact(positives, negatives)
    drawn = NullDistributions(20_000, 0).of(positives, negatives)
    assert every.mean() == pytest.approx(drawn.mean(), abs=0.01)
    assert set(np.round(drawn, 9)) == set(np.round(every, 9))


def test_adjusted_p_values_by_hand():
    np.testing.assert_allclose(adjusted_p_values(np.array([0.04, 0.01, 0.9])), [0.06, 0.03, 0.9])
    assert adjusted_p_values(np.empty(0)).size == 0


def test_published_average_precision_of_every_well(shared_data):
    folder = shared_data / "jumpmoa_dye_plates"
    wells = pl.read_csv(
        folder / "2023_05_17_Batch2_normalized_feature_select_negcon_batch.csv.gz",
        infer_schema_length=None,
    )
    published = pl.read_csv(
        folder / "published_map" / "Result_Negcon_wrt_Controls_Phalloidin400LS.csv",
        infer_schema_length=None,
    )
    result = evaluation.mean_average_precision(
        wells,
        perturbation="Metadata_broad_sample",
        reference=pl.col("Metadata_control_type") == "negcon",
    )
    both = result.queries.join(
        published.select("Metadata_Well", published="average_precision"), on="Metadata_Well"
    )
    assert both.height == 360
    np.testing.assert_allclose(both["average_precision"], both["published"], atol=1e-9)


def test_published_mean_average_precision_of_the_first_plate(shared_data):
    wells = pl.read_csv(
        shared_data
        / "jumpmoa_dye_plates"
        / "2023_05_15_Batch1_normalized_feature_select_negcon_batch.csv.gz",
        infer_schema_length=None,
    )
    cells = wells.filter(Metadata_Plate="BR00122246").drop("^Image_.*$")
    result = evaluation.mean_average_precision(
        cells,
        perturbation="Metadata_broad_sample",
        reference=pl.col("Metadata_control_type") == "negcon",
        null_size=100,
    )
    assert result.n == 90
    assert result.value == pytest.approx(0.736, abs=0.005)
