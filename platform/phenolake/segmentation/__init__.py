"""Label images of nuclei, cells and cytoplasm from multi-channel fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from phenolake.segmentation.methods import METHODS, ResolvedMethod, Segmenter, resolve_method
    from phenolake.segmentation.segmenting import segment, segment_many

__all__ = [
    "METHODS",
    "ResolvedMethod",
    "Segmenter",
    "resolve_method",
    "segment",
    "segment_many",
]

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "methods": ["METHODS", "ResolvedMethod", "Segmenter", "resolve_method"],
        "segmenting": ["segment", "segment_many"],
    },
)
