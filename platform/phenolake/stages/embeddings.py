"""From crops to embeddings of cells, and on to profiles of wells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl
import pyarrow as pa

from phenolake.identity import PlateKey
from phenolake.lake import Lake
from phenolake.modeling.embedding import LoadedNetwork, embed
from phenolake.profiling.profile_settings import ProfileSettings
from phenolake.stages.profiles import profile_wells
from phenolake.stages.training_sets import CELL_KEYS

_PREFIX = "Cells_Embedding_"
#: Many units are silent in most cells, so that their median says nothing.
_STATISTIC = ProfileSettings(statistic="mean")


def embedding_rows(
    site_crops: Iterable[tuple[pl.DataFrame, np.ndarray]], network: LoadedNetwork
) -> Iterator[pa.Table]:
    """Rows of `cell_embeddings` for crops with their key columns, a part at a time."""
    for keys, crops in site_crops:
        if not keys.height:
            continue
        values = embed(crops, network)
        rows = keys.select(CELL_KEYS).with_columns(
            pl.lit(network.name).alias("model_name"), pl.lit(network.version).alias("model_version")
        )
        offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
        lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.ravel()))
        yield rows.to_arrow().append_column("embedding", lists)


def embedding_features(embeddings: pl.DataFrame) -> pl.DataFrame:
    """Rows of `cell_embeddings` of one model with a feature column per unit, as networks number them.

    Features are named `Cells_Embedding_001` and so on, so that profiles are made of them as of
    measured ones.
    """
    width = embeddings["embedding"].list.len().max() or 0
    names = [f"{_PREFIX}{unit:03d}" for unit in range(1, int(width) + 1)]  # type: ignore[arg-type]
    matrix = embeddings["embedding"].explode().to_numpy().reshape(-1, max(len(names), 1))
    return pl.concat(
        [embeddings.drop("embedding"), pl.DataFrame(matrix[:, : len(names)], schema=names)],
        how="horizontal",
    )


def profile_embeddings(lake: Lake, key: PlateKey) -> pl.DataFrame:
    """Mean embedding of each well of a plate, with its treatment, as `well_profiles` has them.

    Sites and cells that the screen's rules leave out of profiles are left out here, too.
    """
    embeddings = lake.read("cell_embeddings", key.where)
    if embeddings.is_empty():
        return pl.DataFrame()
    model = embeddings.select("model_name", "model_version").row(0)
    profiles = profile_wells(
        embedding_features(embeddings).drop("model_name", "model_version").lazy(),
        lake.read("plate_map", key.where),
        lake.read("segmentation_masks", key.where, columns=["Metadata_Well", "Metadata_Site"]),
        lake.read("image_quality", key.where) if lake.exists("image_quality") else None,
        lake.read("objects", key.where) if lake.exists("objects") else None,
        _STATISTIC,
    )
    return profiles.with_columns(pl.lit("/".join(model)).alias("Metadata_Model"))
