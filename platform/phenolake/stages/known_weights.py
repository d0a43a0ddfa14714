"""Weights keep their hash: what one lake knows under a name can't change unseen."""

from __future__ import annotations

import polars as pl

from phenolake.errors import ModelFileError
from phenolake.lake import Lake
from phenolake.segmentation import ResolvedMethod


def confirm_weights(lake: Lake, method: ResolvedMethod) -> None:
    """Compare the sha256 of a method's weights with that of the masks which the lake has by them.

    The first masks record the hash. Published weights have no list of hashes to compare with, so a
    file that was changed or damaged since is noticed here.

    Raises
    ------
    ModelFileError
        If the lake has masks by other weights of the same name.
    """
    if method.model_hash is None or ":" not in method.name:
        return
    if not lake.exists("segmentation_masks"):
        return
    rows = lake.read("segmentation_masks", columns=["method", "model_hash"]).unique()
    known = rows.filter(pl.col("method") == method.name)["model_hash"].drop_nulls().to_list()
    if known and method.model_hash not in known:
        raise ModelFileError(
            method.name,
            f"the weights changed: sha256 was {sorted(known)[0]} when the lake's masks were made, "
            f"now it is {method.model_hash}. Bring the old file back, or give the new one another "
            "name, so that masks of both can be told apart",
        )
