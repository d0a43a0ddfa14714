"""Take uneven light off an image: divide by a function, or subtract a pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Convention = Literal["divide", "subtract"]


@dataclass(frozen=True)
class Correction:
    """An illumination function, float32 (y, x), and how it is applied.

    `background` (0..1) is taken off before dividing; 0 divides the image as it is.
    """

    function: np.ndarray
    convention: Convention = "divide"
    background: float = 0.0

    def apply(self, plane: np.ndarray) -> np.ndarray:
        """Corrected plane, float32 (y, x); subtraction stops at 0."""
        if self.convention == "subtract":
            return np.maximum(plane - self.function, np.float32(0))
        if self.background:
            plane = np.maximum(plane - np.float32(self.background), np.float32(0))
        return np.asarray(plane / self.function)
