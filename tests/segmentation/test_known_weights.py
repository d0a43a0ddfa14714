"""A lake remembers the hash of weights by the masks they made."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenolake.errors import ModelFileError
from phenolake.lake import CODEC, Lake, encode_labels
from phenolake.segmentation import ResolvedMethod
from phenolake.stages.known_weights import confirm_weights
from phenolake.tables import SEGMENTATION_MASKS

WHERE = {"Metadata_Screen": "s", "Metadata_Plate": "p"}


def masks(method: str, model_hash: str | None) -> pl.DataFrame:
    labels = np.zeros((4, 4), np.int32)
    row = {
        **WHERE,
        "Metadata_Batch": "b",
        "Metadata_Well": "A01",
        "Metadata_Site": 1,
        "compartment": "Nuclei",
        "labels": encode_labels(labels),
        "codec": CODEC,
        "height": 4,
        "width": 4,
        "object_count": 0,
        "method": method,
        "model_hash": model_hash,
    }
    return pl.DataFrame([row])


def test_changed_weights_are_refused_under_the_old_name_only(tmp_path):
    lake = Lake(str(tmp_path))
    mine = ResolvedMethod("cellpose:mine", "asked for", "aa")
    confirm_weights(lake, mine)  # a lake without masks knows nothing
    lake.write(SEGMENTATION_MASKS, masks("cellpose:mine", "aa"), WHERE)
    confirm_weights(lake, mine)
    changed = ResolvedMethod("cellpose:mine", "asked for", "bb")
    with pytest.raises(ModelFileError, match=r"cellpose:mine: the weights changed: sha256 was aa"):
        confirm_weights(lake, changed)
    confirm_weights(lake, ResolvedMethod("cellpose:new", "asked for", "bb"))
    confirm_weights(lake, ResolvedMethod("classical", "asked for"))
    confirm_weights(lake, ResolvedMethod("compact", "a new release ships new weights", "cc"))
