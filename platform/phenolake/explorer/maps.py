"""Two dimensions of a screen's profiles: principal components, or UMAP where it is installed."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec

import numpy as np
import polars as pl

from phenolake.errors import ConfigurationError, UnknownNameError
from phenolake.pictures.scatter import principal_components
from phenolake.profiling.feature_matrix import feature_columns, matrix
from phenolake.service.reading import LakeReader
from phenolake.stages.screen_profiles import profiles_of

Map = tuple[pl.DataFrame, np.ndarray, tuple[str, str]]
METHODS = ("pca", "umap")
_TABLE = "batch_corrected_profiles"
_SEED = 0
_MAPS_KEPT = 8


def methods() -> tuple[str, ...]:
    """Methods that this installation has."""
    return METHODS if find_spec("umap") else METHODS[:1]


class Maps:
    """Maps of a lake's screens; UMAP takes seconds, so the last eight are kept."""

    def __init__(self, reader: LakeReader) -> None:
        self._reader = reader
        self._made = lru_cache(maxsize=_MAPS_KEPT)(self._make)

    def of(self, screen: str, correction: str, method: str) -> Map:
        """Metadata of a correction's profiles, their points (2, row), and the axes' names."""
        return self._made(screen, self._reader.lake.version(_TABLE), correction, method)

    def _make(self, screen: str, version: int, correction: str, method: str) -> Map:
        profiles = self._reader.read(_TABLE, {"Metadata_Screen": screen})
        rows, points, axes = map_of(profiles, correction, method)
        return rows.select(pl.col("^Metadata_.*$")), points, axes


def map_of(profiles: pl.DataFrame, correction: str, method: str) -> Map:
    """Rows of one correction that have values, their points (2, row), and the axes' names.

    Raises
    ------
    ConfigurationError
        If UMAP is asked for and not installed, or there are too few profiles.
    """
    if method not in METHODS:
        raise UnknownNameError("map", method, METHODS)
    rows, points, share = principal_components(profiles_of(profiles, correction))
    if method == "pca":
        return rows, points, (f"PC1 ({share[0]:.0%} of variance)", f"PC2 ({share[1]:.0%})")
    try:
        from umap import UMAP
    except ImportError as error:
        raise ConfigurationError(
            "UMAP is not installed; `pip install umap-learn` adds it"
        ) from error
    values = matrix(rows, feature_columns(rows)).T
    complete = values[:, np.isfinite(values).all(axis=0)]
    if rows.height < 5:
        raise ConfigurationError(f"{rows.height} profiles are too few for UMAP")
    neighbours = min(15, rows.height - 1)
    embedded = UMAP(n_neighbors=neighbours, metric="cosine", random_state=_SEED).fit_transform(
        complete
    )
    return rows, np.asarray(embedded, np.float64).T, ("UMAP 1", "UMAP 2")
