"""Several models as one: the mean of their probabilities, calibrated by a temperature."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from phenolake.errors import TrainingDataError
from phenolake.modeling.calibration import tempered
from phenolake.modeling.neighbour_novelty import NeighbourNovelty
from phenolake.modeling.novelty import NoveltyReference

if TYPE_CHECKING:
    from phenolake.modeling.model_parts import Model


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Models of the same classes that vote with their mean probability; one alone is calibrated.

    `novelty` is measured in the first member's embedding. `unknown_above`: novelty above which a
    cell is called unknown; none if it was never set.
    """

    kind: ClassVar[str] = "ensemble"
    members: tuple[Model, ...]
    novelty: NoveltyReference | NeighbourNovelty
    temperature: float = 1.0
    unknown_above: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse members that can't vote together."""
        if not self.members:
            raise TrainingDataError("an ensemble needs a member")
        for what in ("classes", "takes"):
            told = {getattr(member, what) for member in self.members}
            if len(told) > 1:
                raise TrainingDataError(f"the members' {what} differ: {told}")

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the probabilities."""
        return self.members[0].classes

    @property
    def takes(self) -> str:
        """`crops` or `features`."""
        return self.members[0].takes

    @property
    def history(self) -> list[dict[str, float]]:
        """Curves of the first member that has any."""
        curves = (getattr(member, "history", []) for member in self.members)
        return next((rows for rows in curves if rows), [])

    def predict_proba(self, data: Any) -> np.ndarray:
        """Return calibrated class probabilities, float64, shape (n, class)."""
        return self.evaluate(data)[0]

    def evaluate(self, data: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return calibrated class probabilities and the first member's embedding."""
        votes, embedding = self.votes(data)
        return self.pooled(votes), embedding

    def pooled(self, votes: np.ndarray) -> np.ndarray:
        """Return the calibrated mean of votes (vote, n, class), float64, shape (n, class)."""
        return tempered(votes.mean(axis=0), self.temperature)

    def votes(self, data: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return each member's probabilities, (member, n, class), and the first one's embedding."""
        said = [member.evaluate(data) for member in self.members]
        return np.stack([probabilities for probabilities, _ in said]), said[0][1]
