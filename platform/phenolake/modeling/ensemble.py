"""Several models as one: their probabilities pooled, and calibrated by a temperature."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from phenolake.errors import TrainingDataError
from phenolake.modeling.calibration import tempered
from phenolake.modeling.joint_novelty import JointNovelty
from phenolake.modeling.neighbour_novelty import NeighbourNovelty
from phenolake.modeling.novelty import NoveltyReference

if TYPE_CHECKING:
    from phenolake.modeling.model_parts import Model

# A vote of zero has no logarithm.
_LEAST_VOTE = 1e-12


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Models of the same classes that vote; one alone is calibrated.

    `novelty` is measured in the first member's embedding, a `JointNovelty` in those of all.
    `unknown_above`: novelty above which a cell is called unknown; none if it was never set.
    `views`: what each member looks at, where members see different features of the cells. Their
    probabilities are multiplied, as those of independent evidence; other members' are averaged.
    """

    kind: ClassVar[str] = "ensemble"
    members: tuple[Model, ...]
    novelty: NoveltyReference | NeighbourNovelty | JointNovelty
    temperature: float = 1.0
    unknown_above: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    views: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse members that can't vote together."""
        if not self.members:
            raise TrainingDataError("an ensemble needs a member")
        if self.views and len(self.views) != len(self.members):
            raise TrainingDataError(f"{len(self.members)} members, but {len(self.views)} views")
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
        """Return calibrated class probabilities and the embedding that novelty is measured in."""
        votes, embedding = self.votes(data)
        return self.pooled(votes), embedding

    def pooled(self, votes: np.ndarray) -> np.ndarray:
        """Return the calibrated mean of votes (vote, n, class), float64, shape (n, class).

        Votes of views are averaged as logarithms, which multiplies them.
        """
        if not self.views:
            return tempered(votes.mean(axis=0), self.temperature)
        logs = np.log(np.maximum(votes, _LEAST_VOTE))
        return tempered(np.exp(logs.mean(axis=0)), self.temperature)

    def votes(self, data: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return each member's probabilities, (member, n, class), and the embedding for novelty."""
        votes, embeddings = self.opinions(data)
        joint = isinstance(self.novelty, JointNovelty)
        return votes, np.concatenate(embeddings, axis=1) if joint else embeddings[0]

    def opinions(self, data: Any) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return each member's probabilities, (member, n, class), and each one's embedding."""
        said = [member.evaluate(data) for member in self.members]
        return np.stack([probabilities for probabilities, _ in said]), [own for _, own in said]
