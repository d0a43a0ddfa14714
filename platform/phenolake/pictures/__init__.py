"""Pictures as PNG bytes, small enough to sit in the metadata of a run."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

# Not lazy: a later import of the module would hide the function of the same name.
from phenolake.pictures.dose_curves import dose_curves
from phenolake.pictures.field_maps import field_maps

if TYPE_CHECKING:
    from phenolake.pictures.bar_charts import bars, histogram
    from phenolake.pictures.curves import confusion_matrix, training_curves
    from phenolake.pictures.disagreement import disagreement_picture
    from phenolake.pictures.overlay import outlines_montage
    from phenolake.pictures.plate_maps import plate_heatmap
    from phenolake.pictures.png import as_markdown
    from phenolake.pictures.scatter import profile_map
    from phenolake.pictures.similarity import similarity_heatmap

__all__ = [
    "as_markdown",
    "bars",
    "confusion_matrix",
    "disagreement_picture",
    "dose_curves",
    "field_maps",
    "histogram",
    "outlines_montage",
    "plate_heatmap",
    "profile_map",
    "similarity_heatmap",
    "training_curves",
]

_MODULE_OF = {
    "as_markdown": "png",
    "bars": "bar_charts",
    "confusion_matrix": "curves",
    "disagreement_picture": "disagreement",
    "histogram": "bar_charts",
    "outlines_montage": "overlay",
    "plate_heatmap": "plate_maps",
    "profile_map": "scatter",
    "similarity_heatmap": "similarity",
    "training_curves": "curves",
}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
