"""Phenolake: microscope plates to queryable tables.

Start with `phenolake.open_lake(uri)`; submodules load when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phenolake.lake import Lake

__version__ = "0.1.0"
__all__ = ["open_lake"]

_SUBMODULES = frozenset(
    (
        "correction",
        "evaluation",
        "features",
        "modeling",
        "pictures",
        "profiling",
        "segmentation",
        "simulation",
    )
)


def open_lake(uri: str) -> Lake:
    """Open the lake at a folder or `s3://` URI; SQL, polars and time travel hang off it."""
    from phenolake.lake import Lake

    return Lake(uri)


def __getattr__(name: str) -> object:
    if name in _SUBMODULES:
        return importlib.import_module(f"phenolake.{name}")
    raise AttributeError(f"module 'phenolake' has no attribute {name!r}")
