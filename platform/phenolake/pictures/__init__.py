"""Pictures as PNG bytes, small enough to sit in the metadata of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

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

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "bar_charts": ["bars", "histogram"],
        "curves": ["confusion_matrix", "training_curves"],
        "disagreement": ["disagreement_picture"],
        "overlay": ["outlines_montage"],
        "plate_maps": ["plate_heatmap"],
        "png": ["as_markdown"],
        "scatter": ["profile_map"],
        "similarity": ["similarity_heatmap"],
    },
)
