"""The classical method with its settings, behind the segmenter interface."""

from __future__ import annotations

from dataclasses import dataclass, field

from phenolake.segmentation.cells import find_cells
from phenolake.segmentation.channels import Channels
from phenolake.segmentation.classical_settings import ClassicalSettings
from phenolake.segmentation.label_images import Labels
from phenolake.segmentation.nuclei import find_nuclei, typical_diameter


@dataclass(frozen=True)
class ClassicalSegmenter:
    """Thresholds, splitting at necks and growth over the cell channel; see `find_nuclei`."""

    settings: ClassicalSettings = field(default_factory=ClassicalSettings)

    @classmethod
    def load(cls, text: str = "") -> ClassicalSegmenter:
        """Return the segmenter of the settings `name=value;...`; see `ClassicalSettings.parse`."""
        return cls(ClassicalSettings.parse(text))

    def __call__(
        self, channels: Channels, diameter: float | None, largest: float | None
    ) -> tuple[Labels, Labels | None]:
        """Return nuclei and cells, int32 (y, x), joined by one number."""
        nuclei = find_nuclei(channels.nuclei, diameter, largest, self.settings)
        if channels.cells is None:
            return nuclei, None
        width = diameter or typical_diameter(nuclei)
        return nuclei, find_cells(channels.cells, nuclei, width, self.settings)
