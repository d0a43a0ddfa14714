"""Recipes: named chains of profiling steps, stored as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from phenolake.errors import ConfigurationError, UnknownNameError
from phenolake.profiling.normalization import normalize, signed_log
from phenolake.profiling.selection import select_features


@dataclass(frozen=True)
class Recipe:
    """A chain of steps. A step is a mapping: `step` names the function, the rest are arguments."""

    name: str
    description: str
    steps: tuple[Mapping[str, Any], ...]


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "moa_default",
            "z-scores against controls, large values compressed, control variation sphered away",
            steps=(
                {"step": "normalize", "method": "standardize"},
                {"step": "select_features", "operations": ("positions", "missing", "variance")},
                {"step": "signed_log"},
                {"step": "correct", "method": "sphering", "regularization": 0.001},
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

_STEPS = ("normalize", "select_features", "signed_log", "correct")


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
        Columns of the groups that `normalize` treats apart.

    Raises
    ------
    UnknownNameError
        If the recipe or one of its steps does not exist.
    """
    if isinstance(recipe, str):
        if recipe not in RECIPES:
            raise UnknownNameError("recipe", recipe, RECIPES)
        recipe = RECIPES[recipe]
    frame = well_profiles.lazy().collect()
    for step in recipe.steps:
        arguments = dict(step)
        name = arguments.pop("step", None)
        if name is None:
            raise ConfigurationError(
                f"recipe {recipe.name!r}: {dict(step)} does not name its `step`"
            )
        frame = _apply(frame, name, arguments, reference, batch, by)
    return frame


def _apply(
    frame: pl.DataFrame,
    name: str,
    arguments: dict[str, Any],
    reference: pl.Expr | None,
    batch: str,
    by: str | Iterable[str],
) -> pl.DataFrame:
    # Imported here: correction builds on profiling.
    from phenolake.correction import correct

    match name:
        case "normalize":
            return normalize(frame, by=by, reference=reference, **arguments)
        case "select_features":
            return select_features(frame, **arguments).profiles
        case "signed_log":
            return signed_log(frame)
        case "correct":
            return correct(frame, batch=batch, reference=reference, **arguments)
    raise UnknownNameError("recipe step", name, _STEPS)
