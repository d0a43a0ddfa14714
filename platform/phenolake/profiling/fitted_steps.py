"""Steps of a recipe with what they learned: applied to later wells, they learn nothing anew.

State is names and arrays only, so that a fitted recipe is stored without pickle.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import polars as pl

from phenolake.errors import ConfigurationError, ControlsMissingError, UnknownNameError
from phenolake.profiling.centring import origin_of
from phenolake.profiling.density import regress_density
from phenolake.profiling.feature_matrix import (
    chosen_rows,
    feature_columns,
    group_name,
    groups,
    key_columns,
    matrix,
    metadata_columns,
    with_matrix,
)
from phenolake.profiling.normalization import METHODS, normalize, signed_log
from phenolake.profiling.reduction import reduce_features
from phenolake.profiling.selection import select_features
from phenolake.profiling.well_position import correct_position

Step = Mapping[str, Any]

DROPPED_SCHEMA = {
    "step": pl.Int32,
    "feature": pl.String,
    "operation": pl.String,
    "reason": pl.String,
    "value": pl.Float64,
}
_ON_GROUPS = ("signed_log", "well_position", "cell_density")
STEPS = ("normalize", "select_features", *_ON_GROUPS, "correct", "centre", "reduce_features")


@dataclass(frozen=True)
class Context:
    """What steps need to know of the wells: control rows, column of the batch, those of the plate."""

    reference: pl.Expr | None
    batch: str
    by: tuple[str, ...]


class State(NamedTuple):
    """What a step learned: plain values, and arrays by name."""

    values: dict[str, Any]
    arrays: dict[str, np.ndarray]


class FittedStep(Protocol):
    """A step that can be applied to any wells."""

    kind: ClassVar[str]

    def transform(self, frame: pl.DataFrame, context: Context) -> pl.DataFrame:
        """Profiles of the same wells after the step."""

    def state(self) -> State:
        """What was learned."""


@dataclass(frozen=True)
class OnGroups:
    """A step that looks at each plate by itself, or at each value: there is nothing to keep."""

    step: Step
    kind: ClassVar[str] = "on_groups"

    def transform(self, frame: pl.DataFrame, context: Context) -> pl.DataFrame:
        """Run the step on these wells: new plates are measured by their own controls."""
        arguments = {name: value for name, value in self.step.items() if name != "step"}
        by_plate = {"by": context.by, "reference": context.reference}
        match self.step["step"]:
            case "normalize":
                return normalize(frame, **{**by_plate, **arguments})
            case "cell_density":
                return regress_density(frame, **{**by_plate, **arguments})
            case "well_position":
                return correct_position(frame, **{"by": context.by, **arguments})
            case _:
                return signed_log(frame, **arguments)

    def state(self) -> State:
        """Nothing but the step itself."""
        return State({"step": dict(self.step)}, {})


@dataclass(frozen=True)
class Affine:
    """Centre and scale learned from wells of all plates together: z-scores, or a new origin."""

    features: tuple[str, ...]
    centre: np.ndarray
    scale: np.ndarray
    kind: ClassVar[str] = "affine"

    def transform(self, frame: pl.DataFrame, context: Context) -> pl.DataFrame:
        """(x - centre) scale, feature by feature; NaN where that is not finite."""
        values = matrix(frame, key_columns(frame, self.features))
        values -= self.centre[:, None]
        values *= self.scale[:, None]
        np.copyto(values, np.nan, where=np.isinf(values))
        return with_matrix(frame.select(metadata_columns(frame)), self.features, values)

    def state(self) -> State:
        """Names, centre and scale."""
        arrays = {"centre": self.centre, "scale": self.scale}
        return State({"features": self.features}, arrays)


@dataclass(frozen=True)
class Kept:
    """The features that a selection kept."""

    features: tuple[str, ...]
    kind: ClassVar[str] = "kept"

    def transform(self, frame: pl.DataFrame, context: Context) -> pl.DataFrame:
        """Only those features, in that order."""
        return frame.select(*metadata_columns(frame), *key_columns(frame, self.features))

    def state(self) -> State:
        """Their names."""
        return State({"features": self.features}, {})


@dataclass(frozen=True)
class Projection:
    """Components of features: weights @ (x - centre)."""

    features: tuple[str, ...]
    outputs: tuple[str, ...]
    centre: np.ndarray
    weights: np.ndarray
    kind: ClassVar[str] = "projection"

    def transform(self, frame: pl.DataFrame, context: Context) -> pl.DataFrame:
        """Metadata, then the components."""
        values = matrix(frame, key_columns(frame, self.features))
        points = self.weights @ (values - self.centre[:, None])
        return with_matrix(frame.select(metadata_columns(frame)), self.outputs, points)

    def state(self) -> State:
        """Names, centre and weights."""
        names = {"features": self.features, "outputs": self.outputs}
        return State(names, {"centre": self.centre, "weights": self.weights})


@dataclass(frozen=True)
class Corrected:
    """A batch correction; batches it does not know get a map of their own, known ones keep theirs."""

    correction: Any
    kind: ClassVar[str] = "corrected"

    def transform(self, frame: pl.DataFrame, context: Context) -> pl.DataFrame:
        """Corrected profiles; a well with a gap in a feature of the fit becomes all NaN.

        Raises
        ------
        ConfigurationError
            If a plate has no value at all of a feature that the fit uses; names both.
        """
        self._check(frame, context)
        fitted = self.correction
        if hasattr(fitted, "extended"):
            # Harmony looks at all wells; the others learn new batches from their controls.
            wells = None if fitted.method == "harmony_scrna" else context.reference
            fitted = fitted.extended(frame, wells)
        profiles: pl.DataFrame = fitted.transform(frame)
        return profiles

    def _check(self, frame: pl.DataFrame, context: Context) -> None:
        names = key_columns(frame, self.correction.features)
        finite = np.isfinite(matrix(frame, names))
        for key, rows in groups(frame, context.by):
            here = finite[:, rows]
            lost = here.any() & ~here.any(axis=1)
            if lost.any():
                first = names[int(lost.argmax())]
                raise ConfigurationError(
                    f"{group_name(key)} has no value of {first}"
                    + (f" and {int(lost.sum()) - 1} more features" if lost.sum() > 1 else "")
                    + ", which the fitted correction uses: fit it anew, or leave the plate out"
                )

    def state(self) -> State:
        """The bytes of the correction's own file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "correction.safetensors"
            self.correction.save(path)
            return State({}, {"file": np.frombuffer(path.read_bytes(), np.uint8)})

    @classmethod
    def restored(cls, file: np.ndarray) -> Corrected:
        """Read what `state` holds."""
        from phenolake.correction import load_correction

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "correction.safetensors"
            path.write_bytes(file.tobytes())
            return cls(load_correction(path))


class StepFit(NamedTuple):
    """A fitted step, the profiles it was fitted on after it, and the features it dropped."""

    step: FittedStep
    profiles: pl.DataFrame
    dropped: pl.DataFrame


def fit_step(step: Step, number: int, frame: pl.DataFrame, context: Context) -> StepFit:
    """Learn one step from wells.

    Raises
    ------
    UnknownNameError
        If there is no such step.
    """
    arguments = dict(step)
    name = arguments.pop("step")
    fit = {
        "normalize": _fit_normalize,
        "select_features": _fit_selection,
        "correct": _fit_correction,
        "centre": _fit_origin,
        "reduce_features": _fit_reduction,
        **dict.fromkeys(_ON_GROUPS, _fit_on_groups),
    }.get(name)
    if fit is None:
        raise UnknownNameError("recipe step", name, STEPS)
    fitted, profiles, dropped = fit(step, arguments, frame, context)
    return StepFit(fitted, profiles, _numbered(dropped, number))


def restored_step(kind: str, state: State) -> FittedStep:
    """Rebuild a step from its kind and state.

    Raises
    ------
    UnknownNameError
        If no step is of that kind.
    """
    values = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in state.values.items()
    }
    makers: dict[str, Any] = {
        **{one.kind: one for one in (OnGroups, Affine, Kept, Projection)},
        Corrected.kind: Corrected.restored,
    }
    if kind not in makers:
        raise UnknownNameError("kind of fitted step", kind, makers)
    step: FittedStep = makers[kind](**values, **state.arrays)
    return step


_Fit = tuple[FittedStep, pl.DataFrame, pl.DataFrame | None]


def _fit_on_groups(
    step: Step, arguments: dict[str, Any], frame: pl.DataFrame, context: Context
) -> _Fit:
    fitted = OnGroups(step)
    return fitted, fitted.transform(frame, context), None


def _fit_normalize(
    step: Step, arguments: dict[str, Any], frame: pl.DataFrame, context: Context
) -> _Fit:
    by = arguments.pop("by", context.by)
    if by or arguments["method"] == "inverse_normal":
        return _fit_on_groups(step, arguments, frame, context)
    fitted = _scaling(frame, **{"reference": context.reference, **arguments})
    return fitted, fitted.transform(frame, context), None


def _scaling(
    frame: pl.DataFrame, method: str, reference: pl.Expr | None, epsilon: float = 0.0
) -> Affine:
    """What `normalize` learns where all wells are one group."""
    if method not in METHODS:
        raise UnknownNameError("normalization method", method, METHODS)
    features = feature_columns(frame)
    controls = matrix(frame, features)[:, chosen_rows(frame, reference)]
    if not controls.shape[1]:
        raise ControlsMissingError(method, group_name({}), str(reference))
    controls[np.isinf(controls)] = np.nan
    centre, spread = METHODS[method](controls)
    divisor = spread + epsilon if method == "mad_robustize" else spread
    scale = np.divide(1, divisor, out=np.full(spread.shape, np.nan), where=spread > 0)
    return Affine(tuple(features), centre, scale)


def _fit_selection(
    step: Step, arguments: dict[str, Any], frame: pl.DataFrame, context: Context
) -> _Fit:
    selection = select_features(frame, **arguments)
    kept = Kept(tuple(feature_columns(selection.profiles)))
    return kept, selection.profiles, selection.dropped


def _fit_origin(
    step: Step, arguments: dict[str, Any], frame: pl.DataFrame, context: Context
) -> _Fit:
    origin = origin_of(frame, **{"reference": context.reference, **arguments})
    fitted = Affine(tuple(feature_columns(frame)), origin, np.ones(origin.size))
    return fitted, fitted.transform(frame, context), None


def _fit_reduction(
    step: Step, arguments: dict[str, Any], frame: pl.DataFrame, context: Context
) -> _Fit:
    reduced = reduce_features(frame, **arguments)
    outputs = tuple(feature_columns(reduced.profiles))
    if reduced.weights is None:
        return Kept(outputs), reduced.profiles, None
    fitted = Projection(tuple(feature_columns(frame)), outputs, reduced.centre, reduced.weights)
    return fitted, reduced.profiles, None


def _fit_correction(
    step: Step, arguments: dict[str, Any], frame: pl.DataFrame, context: Context
) -> _Fit:
    # Imported here: correction builds on profiling.
    from phenolake.correction.methods import fit_and_correct

    method = arguments.pop("method")
    before = feature_columns(frame)
    if method == "none":
        return Kept(tuple(before)), frame, None
    where = {"batch": context.batch, "reference": context.reference}
    correction, profiles = fit_and_correct(frame, method, **{**where, **arguments})
    used = set(correction.features)
    rows = [
        (name, "correct", "missing in some well", np.nan) for name in before if name not in used
    ]
    names = [name for name in DROPPED_SCHEMA if name != "step"]
    dropped = pl.DataFrame(rows, schema={n: DROPPED_SCHEMA[n] for n in names}, orient="row")
    return Corrected(correction), profiles, dropped


def _numbered(dropped: pl.DataFrame | None, number: int) -> pl.DataFrame:
    if dropped is None:
        return pl.DataFrame(schema=DROPPED_SCHEMA)
    return dropped.select(pl.lit(number, pl.Int32).alias("step"), pl.all())
