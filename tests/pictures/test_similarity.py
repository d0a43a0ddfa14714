"""The similarity heatmap is a PNG of any number of profiles."""

import numpy as np
import polars as pl
import pytest

from phenolake.errors import UnknownNameError
from phenolake.pictures import similarity_heatmap


@pytest.mark.parametrize("rows", [2, 30, 700])
def test_similarity_heatmap_is_a_small_png(rows):
    values = np.random.default_rng(0).normal(size=(rows, 5))
    frame = pl.DataFrame(values, schema=list("abcde")).with_columns(
        Metadata_Perturbation=pl.Series([f"compound {i}" for i in range(rows)])
    )
    picture = similarity_heatmap(frame, "Metadata_Perturbation", title="none")
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 1_500_000


def test_unknown_label_is_named():
    with pytest.raises(UnknownNameError, match="Metadata_Name"):
        similarity_heatmap(pl.DataFrame({"x": [1.0, 2.0]}), "Metadata_Name")
