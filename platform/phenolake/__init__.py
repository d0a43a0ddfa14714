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
        "dose_response",
        "evaluation",
        "exporting",
        "features",
        "modeling",
        "pictures",
        "profiling",
        "segmentation",
        "simulation",
    )
)


def open_lake(uri: str) -> Lake:
    """Open a lake; SQL, polars and time travel hang off it. Nothing is read or made yet.

    Parameters
    ----------
    uri
        Folder of the tables (`lake/tables` where `phenolake` runs with its defaults), or
        `s3://bucket/prefix` with credentials in the AWS_* environment variables.

    Raises
    ------
    LakeLocationError
        If the URI has an unknown scheme.
    """
    from phenolake.lake import Lake

    return Lake(uri)


def __getattr__(name: str) -> object:
    if name in _SUBMODULES:
        return importlib.import_module(f"phenolake.{name}")
    raise AttributeError(f"module 'phenolake' has no attribute {name!r}")
