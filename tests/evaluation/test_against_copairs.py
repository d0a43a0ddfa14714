"""Average precisions of random plates by copairs, and the same here. Skipped where it is absent."""

import numpy as np
import polars as pl
import pytest

from phenolake import evaluation

pytest.importorskip("copairs")


@pytest.fixture(scope="module")
def wells():
    """Three plates of 30 wells, 9 of them controls; compounds have weak profiles of their own."""
    rng = np.random.default_rng(6)
    layout = ["DMSO"] * 9 + [f"c{i % 7}" for i in range(21)]
    profile = {name: rng.normal(size=20) for name in layout}
    values = np.stack([0.4 * profile[name] for name in layout * 3]) + rng.normal(size=(90, 20))
    return pl.DataFrame(
        {
            "Metadata_Plate": np.repeat(["A", "B", "C"], 30),
            "Metadata_Perturbation": layout * 3,
            "Metadata_IsControl": np.array(layout * 3) == "DMSO",
        }
        | {f"Cells_F{i}": values[:, i] for i in range(20)}
    )


RULES = {
    ("same_plate", "controls"): {
        "pos_sameby": ["Metadata_Perturbation", "Metadata_Plate"], "pos_diffby": [],
        "neg_sameby": ["Metadata_Plate"], "neg_diffby": ["Metadata_IsControl"],
    },
    ("other_plates", "controls"): {
        "pos_sameby": ["Metadata_Perturbation"], "pos_diffby": ["Metadata_Plate"],
        "neg_sameby": ["Metadata_Plate"], "neg_diffby": ["Metadata_IsControl"],
    },
    ("all", "others"): {
        "pos_sameby": ["Metadata_Perturbation"], "pos_diffby": [],
        "neg_sameby": ["Metadata_Plate"], "neg_diffby": ["Metadata_Perturbation"],
    },
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_mean_average_precision(wells, rule):
    from copairs.map import average_precision, mean_average_precision

    positives, negatives = rule
    # Negatives of a compound are never controls where they are other compounds.
    used = wells if negatives == "controls" else wells.filter(~pl.col("Metadata_IsControl"))
    metadata = used.select(pl.col("^Metadata_.*$")).to_pandas()
    values = used.drop("^Metadata_.*$").to_numpy()
    precision = average_precision(metadata, values, **RULES[rule], progress_bar=False)
    precision = precision[~precision["Metadata_IsControl"]]
    theirs = pl.from_pandas(
        mean_average_precision(
            precision, ["Metadata_Perturbation"], null_size=10_000, threshold=0.05, seed=0,
            progress_bar=False,
        )
    ).sort("Metadata_Perturbation")  # fmt: skip
    ours = evaluation.mean_average_precision(
        wells, reference=pl.col("Metadata_IsControl"), positives=positives, negatives=negatives
    ).table.sort("Metadata_Perturbation")
    for name, tolerance in (("mean_average_precision", 1e-6), ("p_value", 0.02)):
        np.testing.assert_allclose(ours[name], theirs[name], atol=tolerance)
