"""Recipes: named chains of profiling steps, stored as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import polars as pl

from phenolake.errors import ConfigurationError, UnknownNameError
from phenolake.profiling.centring import centre
from phenolake.profiling.density import regress_density
from phenolake.profiling.feature_matrix import feature_columns
from phenolake.profiling.normalization import normalize, signed_log
from phenolake.profiling.reduction import reduce_features
from phenolake.profiling.selection import select_features
from phenolake.profiling.well_position import correct_position


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
                {"step": "correct", "method": "sphering", "regularization": 0.1},
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

DROPPED_SCHEMA = {
    "step": pl.Int32,
    "feature": pl.String,
    "operation": pl.String,
    "reason": pl.String,
    "value": pl.Float64,
}


@dataclass(frozen=True)
class RecipeResult:
    """Profiles after a recipe, and a row per feature dropped by its steps (numbered from 1)."""

    profiles: pl.DataFrame
    dropped: pl.DataFrame


_STEPS = (
    "normalize", "select_features", "signed_log", "correct", "centre", "well_position",
    "cell_density", "reduce_features",
)  # fmt: skip


def apply_recipe(
    well_profiles: pl.DataFrame | pl.LazyFrame,
    recipe: str | Recipe = "moa_default",
    reference: pl.Expr | None = None,
    batch: str = "Metadata_Batch",
    by: str | Iterable[str] = ("Metadata_Plate",),
) -> pl.DataFrame:
    """Profiles of the same wells after every step of a recipe.

    Parameters
    ----------
    well_profiles
        A row per well, as `aggregate` made them.
    recipe
        Name in `RECIPES`, or a `Recipe`.
    reference
        Expression that chooses the control wells; None takes all wells.
    batch
        Column of the batch, for `correct`.
    by
        Columns of the groups that steps on a plate treat apart.

    Raises
    ------
    UnknownNameError
        If the recipe or one of its steps does not exist.
    ConfigurationError
        If a step does not fit its function.
    """
    return follow_recipe(well_profiles, recipe, reference, batch, by).profiles


def follow_recipe(
    well_profiles: pl.DataFrame | pl.LazyFrame,
    recipe: str | Recipe = "moa_default",
    reference: pl.Expr | None = None,
    batch: str = "Metadata_Batch",
    by: str | Iterable[str] = ("Metadata_Plate",),
) -> RecipeResult:
    """Profiles as from `apply_recipe`, with the list of the features that were dropped on the way."""
    recipe = recipe_named(recipe)
    frame = well_profiles.lazy().collect()
    dropped = [pl.DataFrame(schema=DROPPED_SCHEMA)]
    for number, step in enumerate(recipe.steps, start=1):
        if step.get("step") == "select_features":
            arguments = {name: value for name, value in step.items() if name != "step"}
            selection = select_features(frame, **arguments)
            dropped.append(selection.dropped.select(pl.lit(number).alias("step"), pl.all()))
            frame = selection.profiles
        else:
            before = feature_columns(frame)
            frame = _function(recipe, step, reference, batch, by)(frame)
            if step.get("step") == "correct" and step.get("method") != "none":
                dropped.append(_incomplete(before, frame, number))
    return RecipeResult(frame, pl.concat(dropped))


def _incomplete(before: list[str], after: pl.DataFrame, number: int) -> pl.DataFrame:
    """Features a correction left out because some well lacks a value."""
    left = set(feature_columns(after))
    gone = [name for name in before if name not in left]
    if len(gone) == len(before):  # components took the features' place
        gone = []
    rows = [(number, name, "correct", "missing in some well", float("nan")) for name in gone]
    return pl.DataFrame(rows, schema=DROPPED_SCHEMA, orient="row")


def recipe_named(recipe: str | Recipe) -> Recipe:
    """Return the recipe of that name; `UnknownNameError` offers those there are."""
    if isinstance(recipe, Recipe):
        return recipe
    if recipe not in RECIPES:
        raise UnknownNameError("recipe", recipe, RECIPES)
    return RECIPES[recipe]


def _function(
    recipe: Recipe,
    step: Mapping[str, Any],
    reference: pl.Expr | None,
    batch: str,
    by: str | Iterable[str],
) -> Callable[[pl.DataFrame], pl.DataFrame]:
    # Imported here: correction builds on profiling.
    from phenolake.correction import correct

    arguments = dict(step)
    name = arguments.pop("step", None)
    if name is None:
        raise ConfigurationError(f"recipe {recipe.name!r}: {dict(step)} does not name its `step`")
    match name:
        case "normalize":
            return partial(normalize, **{"by": by, "reference": reference, **arguments})
        case "signed_log":
            return partial(signed_log, **arguments)
        case "correct":
            return partial(correct, batch=batch, reference=reference, **arguments)
        case "centre":
            return partial(centre, reference=reference, **arguments)
        case "well_position":
            return partial(correct_position, **{"by": by, **arguments})
        case "cell_density":
            return partial(regress_density, **{"by": by, "reference": reference, **arguments})
        case "reduce_features":
            return lambda frame: reduce_features(frame, **arguments).profiles
    raise UnknownNameError("recipe step", name, _STEPS)
