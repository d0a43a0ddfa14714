"""Label images of nuclei, cells and cytoplasm from multi-channel fields."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phenolake.segmentation.methods import METHODS, ResolvedMethod, Segmenter, resolve_method
    from phenolake.segmentation.segmenting import segment, segment_many

_MODULE_OF = {
    "METHODS": "methods",
    "ResolvedMethod": "methods",
    "Segmenter": "methods",
    "resolve_method": "methods",
    "segment": "segmenting",
    "segment_many": "segmenting",
}
__all__ = [
    "METHODS",
    "ResolvedMethod",
    "Segmenter",
    "resolve_method",
    "segment",
    "segment_many",
]


def __getattr__(name: str) -> object:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_MODULE_OF]
