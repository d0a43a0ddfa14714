"""Recipes: named chains of profiling steps, stored as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from phenolake.errors import UnknownNameError

#: Steps that a screen may switch on: effects of row, column and edge; of the number of cells.
ADJUSTMENTS = ("well_position", "cell_density")


@dataclass(frozen=True)
class Recipe:
    """A chain of steps. A step is a mapping: `step` names the function, the rest are arguments."""

    name: str
    description: str
    steps: tuple[Mapping[str, Any], ...]

    def without(self, kind: str) -> Recipe:
        """Return the chain without the steps of a kind, such as those that normalize."""
        kept = tuple(step for step in self.steps if step.get("step") != kind)
        return replace(self, name=f"{self.name} without {kind}", steps=kept)

    def with_adjustments(self, adjustments: Sequence[str]) -> Recipe:
        """Return the chain with steps of `ADJUSTMENTS` put in behind those that normalize.

        Raises
        ------
        UnknownNameError
            If there is no such adjustment.
        """
        for name in adjustments:
            if name not in ADJUSTMENTS:
                raise UnknownNameError("adjustment", name, ADJUSTMENTS)
        kinds = [step.get("step") for step in self.steps]
        place = len(kinds) - kinds[::-1].index("normalize") if "normalize" in kinds else 0
        new = tuple({"step": name} for name in adjustments)
        return replace(
            self,
            name="+".join((self.name, *adjustments)),
            steps=(*self.steps[:place], *new, *self.steps[place:]),
        )

    @property
    def until_correction(self) -> Recipe:
        """The steps before the batch correction; all of them if there is none."""
        return replace(self, steps=self.steps[: self._correction])

    def from_correction(self, method: str) -> Recipe:
        """Return the batch correction, by this method, and the steps after it."""
        return replace(self, steps=self.with_correction(method).steps[self._correction :])

    @property
    def _correction(self) -> int:
        kinds = [step.get("step") for step in self.steps]
        return kinds.index("correct") if "correct" in kinds else len(kinds)

    def with_correction(self, method: str, **parameters: Any) -> Recipe:
        """Return the same chain with another batch correction in the place of its own.

        Parameters of the recipe's own correction stay where the method is the same. A recipe
        without the step `correct` gets it at the end.
        """
        own = [step for step in self.steps if step.get("step") == "correct"]
        if own and own[0].get("method") == method:
            parameters = {**own[0], **parameters}
        new = {**parameters, "step": "correct", "method": method}
        steps = [new if step.get("step") == "correct" else step for step in self.steps]
        return replace(
            self, name=f"{self.name}:{method}", steps=tuple(steps if own else [*steps, new])
        )


#: Plate means go to 0 plate by plate; the SD is that of the controls of all plates together,
#: because a plate with six controls can't tell it.
_POOLED_Z_SCORES = (
    {"step": "normalize", "method": "centre"},
    {"step": "normalize", "method": "standardize", "by": ()},
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "moa_default",
            "z-scores with a pooled SD, large values compressed, control variation sphered away, "
            "relative to the mean treatment",
            steps=(
                *_POOLED_Z_SCORES,
                {"step": "select_features", "operations": ("positions", "missing", "variance")},
                {"step": "signed_log", "scale": 4.0},
                {"step": "correct", "method": "sphering", "regularization": 0.03},
                {"step": "centre", "on": "treated"},
            ),
        ),
        Recipe(
            "robust",
            "robust z-scores against controls, then pycytominer's usual feature selection",
            steps=(
                {"step": "normalize", "method": "mad_robustize"},
                {"step": "select_features"},
            ),
        ),
        Recipe(
            "zscore",
            "z-scores against controls and nothing else",
            steps=({"step": "normalize", "method": "standardize"},),
        ),
    )
}


def recipe_named(recipe: str | Recipe) -> Recipe:
    """Return the recipe of that name; `UnknownNameError` offers those there are."""
    if isinstance(recipe, Recipe):
        return recipe
    if recipe not in RECIPES:
        raise UnknownNameError("recipe", recipe, RECIPES)
    return RECIPES[recipe]
