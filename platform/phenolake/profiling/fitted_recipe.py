"""Recipes carried out: learned on wells, kept, and applied to plates that come later."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from phenolake.errors import ConfigurationError, ModelFileError
from phenolake.profiling.fitted_steps import (
    DROPPED_SCHEMA,
    Context,
    FittedStep,
    State,
    fit_step,
    restored_step,
)
from phenolake.profiling.recipes import Recipe, recipe_named


@dataclass(frozen=True)
class FittedRecipe:
    """A recipe with what its steps learned.

    Attributes
    ----------
    recipe
        The chain that was fitted.
    batch, by
        Columns of the batch and of the plate.
    steps
        The fitted steps.
    """

    recipe: Recipe
    batch: str
    by: tuple[str, ...]
    steps: tuple[FittedStep, ...]

    def transform(
        self, profiles: pl.DataFrame | pl.LazyFrame, reference: pl.Expr | None = None
    ) -> pl.DataFrame:
        """Profiles of wells, whole plates at a time, without learning anything from them.

        What a step takes from a plate alone (its controls' mean) is taken from the plate given;
        what it took from all plates (a pooled SD, the features kept, the correction, the origin)
        is that of the fit. Batches that the correction does not know get a map of their own.
        So later plates never move earlier ones.

        Parameters
        ----------
        profiles
            A row per well, as the fit had them.
        reference
            Expression that chooses the control wells; None takes all wells.

        Raises
        ------
        UnknownNameError
            If a feature that the fit uses is no column.
        ConfigurationError
            If a plate has no value of one; names both.
        ControlsMissingError
            If a plate or a new batch has too few control wells; names it.
        """
        frame = profiles.lazy().collect()
        context = Context(reference, self.batch, self.by)
        for step in self.steps:
            frame = step.transform(frame, context)
        return frame

    def then(self, later: FittedRecipe) -> FittedRecipe:
        """Return this chain followed by another, under the other's name."""
        steps = (*self.recipe.steps, *later.recipe.steps)
        recipe = Recipe(later.recipe.name, later.recipe.description, steps)
        return FittedRecipe(recipe, later.batch, later.by, (*self.steps, *later.steps))

    def to_bytes(self) -> bytes:
        """Pack as safetensors: arrays, and a JSON text that says what they are."""
        from safetensors.numpy import save

        arrays: dict[str, np.ndarray] = {}
        described = []
        for number, step in enumerate(self.steps):
            values, own = step.state()
            described.append({"kind": step.kind, "values": values})
            arrays |= {f"{number}.{name}": np.ascontiguousarray(a) for name, a in own.items()}
        about = {
            "recipe": asdict(self.recipe),
            "batch": self.batch,
            "by": self.by,
            "steps": described,
        }
        return save(arrays, {"phenolake": json.dumps(about)})

    @classmethod
    def from_bytes(cls, data: bytes, source: str = "fitted recipe") -> FittedRecipe:
        """Unpack what `to_bytes` packed.

        Raises
        ------
        ModelFileError
            If the bytes are something else, or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            arrays = load(data)
            # A safetensors file starts with the length of its header, which is JSON.
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            about = json.loads(header["__metadata__"]["phenolake"])
            steps = tuple(
                restored_step(described["kind"], State(described["values"], _of(arrays, number)))
                for number, described in enumerate(about["steps"])
            )
            recipe = Recipe(**{**about["recipe"], "steps": tuple(about["recipe"]["steps"])})
            return cls(recipe, about["batch"], tuple(about["by"]), steps)
        except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise ModelFileError(source, f"no fitted recipe, or damaged ({reason})") from error

    def save(self, path: str | Path) -> None:
        """Write `to_bytes` to a file."""
        Path(path).write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> FittedRecipe:
        """Read what `save` wrote."""
        return cls.from_bytes(Path(path).read_bytes(), str(path))


@dataclass(frozen=True)
class RecipeResult:
    """Profiles after a recipe, the recipe fitted on them, and a row per feature it dropped.

    Steps in `dropped` are numbered from 1.
    """

    profiles: pl.DataFrame
    dropped: pl.DataFrame
    fitted: FittedRecipe


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

    Returns
    -------
    polars.DataFrame
        The same rows in the same order: metadata, then the features or components that are left,
        float64.

    Raises
    ------
    UnknownNameError
        If the recipe or one of its steps does not exist.
    ConfigurationError
        If a step does not fit its function.
    """
    return follow_recipe(well_profiles, recipe, reference, batch, by).profiles


def fit_recipe(
    well_profiles: pl.DataFrame | pl.LazyFrame,
    recipe: str | Recipe = "moa_default",
    reference: pl.Expr | None = None,
    batch: str = "Metadata_Batch",
    by: str | Iterable[str] = ("Metadata_Plate",),
) -> FittedRecipe:
    """Recipe fitted on these wells, to be kept and applied to later plates.

    Arguments are those of `apply_recipe`.
    """
    return follow_recipe(well_profiles, recipe, reference, batch, by).fitted


def follow_recipe(
    well_profiles: pl.DataFrame | pl.LazyFrame,
    recipe: str | Recipe = "moa_default",
    reference: pl.Expr | None = None,
    batch: str = "Metadata_Batch",
    by: str | Iterable[str] = ("Metadata_Plate",),
) -> RecipeResult:
    """Profiles as from `apply_recipe`, the fitted recipe, and what was dropped on the way.

    Arguments and errors are those of `apply_recipe`.
    """
    recipe = recipe_named(recipe)
    frame = well_profiles.lazy().collect()
    context = Context(reference, batch, (by,) if isinstance(by, str) else tuple(by))
    dropped, steps = [pl.DataFrame(schema=DROPPED_SCHEMA)], []
    for number, step in enumerate(recipe.steps, start=1):
        if "step" not in step:
            raise ConfigurationError(
                f"recipe {recipe.name!r}: {dict(step)} does not name its `step`"
            )
        fit = fit_step(step, number, frame, context)
        frame = fit.profiles
        steps.append(fit.step)
        dropped.append(fit.dropped)
    fitted = FittedRecipe(recipe, batch, context.by, tuple(steps))
    return RecipeResult(frame, pl.concat(dropped), fitted)


def _of(arrays: dict[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    start = f"{number}."
    return {
        name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)
    }
