"""A fitted Harmony: principal components, clusters, and the shifts of batches; kept and reused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from phenolake.correction.harmony import HarmonyFit, HarmonySettings, harmonize
from phenolake.correction.wells import Wells
from phenolake.errors import ConfigurationError, ControlsMissingError, UnknownNameError
from phenolake.profiling.feature_matrix import with_matrix

_ASSIGNMENT_ROUNDS = 5


@dataclass(frozen=True)
class Harmony:
    """A fitted correction of the method `harmony_scrna`.

    Attributes
    ----------
    features, batch, batches
        What it was fitted on; `batches` in the order of `shifts`.
    settings
        Parameters.
    mean, loadings
        Principal components of the fitted wells: (feature,), (component, feature).
    centres, level, weight
        Of each cluster: direction, mean corrected position, and weight of all fitted wells.
    shifts, crowding
        Of each batch and cluster: what is taken off, (batch, component, cluster), and how much
        the cluster attracts the batch, (cluster, batch).
    """

    features: tuple[str, ...]
    batch: str
    batches: tuple[str, ...]
    settings: HarmonySettings
    mean: np.ndarray
    loadings: np.ndarray
    centres: np.ndarray
    level: np.ndarray
    shifts: np.ndarray
    crowding: np.ndarray

    method = "harmony_scrna"

    @classmethod
    def fit(cls, wells: Wells, parameters: Mapping[str, Any]) -> tuple[Harmony, pl.DataFrame]:
        """Learn the correction from all wells; also returns their corrected profiles.

        Parameters are those of `HarmonySettings`, `components` (50) and `backend` (`numpy`).

        Raises
        ------
        ConfigurationError
            If there are fewer than two wells with values.
        """
        parameters = dict(parameters)
        count = int(parameters.pop("components", 50))
        backend = str(parameters.pop("backend", "numpy"))
        settings = _settings(parameters)
        finite = np.isfinite(wells.values).all(axis=0)
        if finite.sum() < 2:
            raise ConfigurationError(f"harmony_scrna: {int(finite.sum())} wells with values")
        values = wells.values[:, finite]
        mean, loadings = _principal_axes(values, count)
        points = loadings @ (values - mean[:, None])
        names = sorted(set(wells.batches[finite].tolist()))
        codes = np.searchsorted(names, wells.batches[finite])
        fit = harmonize(points, codes, settings, backend)
        weight = np.maximum(fit.members.sum(axis=1), 1e-12)
        model = cls(
            tuple(wells.features),
            wells.batch,
            tuple(names),
            settings,
            mean,
            loadings,
            fit.centres,
            (fit.corrected @ fit.members.T) / weight,
            fit.shifts,
            _crowding(fit, settings.theta),
        )
        corrected = np.full((len(loadings), finite.size), np.nan)
        corrected[:, finite] = fit.corrected
        return model, with_matrix(wells.metadata, model.outputs, corrected)

    @property
    def outputs(self) -> list[str]:
        """Names of the corrected components."""
        return [f"PC{number:03d}" for number in range(1, len(self.loadings) + 1)]

    def extended(
        self, profiles: pl.DataFrame | pl.LazyFrame, reference: pl.Expr | None = None
    ) -> Harmony:
        """Return the same correction with shifts for batches it did not know; known ones stay.

        The new wells join the clusters that are there, and are moved onto them: wells of the
        fitted batches stay where they are. All wells are used, or those of `reference`.

        References
        ----------
        Kang et al. (Symphony), Nat. Commun. 12:5890 (2021).
        """
        frame = profiles.lazy().collect()
        wells = Wells.of(frame, self.batch, reference, self.method, list(self.features))
        new = [name for name in wells.names() if name not in self.batches]
        shifts = []
        for name in new:
            _, own = wells.of_batch(name, self.method, 1)
            shifts.append(self._shift_of(self.loadings @ (own - self.mean[:, None])))
        if not new:
            return self
        attraction = np.ones((len(self.crowding), len(new)))
        return Harmony(
            **{
                **{item.name: getattr(self, item.name) for item in fields(self)},
                "batches": (*self.batches, *new),
                "shifts": np.concatenate([self.shifts, np.stack(shifts)]),
                "crowding": np.hstack([self.crowding, attraction]),
            }
        )

    def transform(self, profiles: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
        """Metadata columns of the profiles, followed by the corrected components.

        Wells are assigned to the clusters one by one, so that a well's result does not hang on
        which others come with it. For the fitted wells that is near, not equal to, what `correct`
        gives, where the wells of a cluster crowd each other out.

        Raises
        ------
        ControlsMissingError
            If a batch has no shifts yet; `extended` makes them.
        """
        frame = profiles.lazy().collect()
        wells = Wells.of(frame, self.batch, None, self.method, list(self.features))
        points = self.loadings @ (wells.values - self.mean[:, None])
        corrected = np.full(points.shape, np.nan)
        for name in wells.names():
            if name not in self.batches:
                raise ControlsMissingError(
                    self.method, f"batch {name}, which was not fitted", "`extended` with its wells"
                )
            number = self.batches.index(name)
            rows = wells.batches == name
            moved = points[:, rows]
            for _ in range(_ASSIGNMENT_ROUNDS):
                members = self._members(moved, self.crowding[:, number])
                moved = points[:, rows] - self.shifts[number] @ members
            corrected[:, rows] = moved
        return with_matrix(wells.metadata, self.outputs, corrected)

    def save(self, path: str | Path) -> None:
        """Write the correction as a safetensors file."""
        from safetensors.numpy import save_file

        about = {
            "method": self.method,
            "features": json.dumps(self.features),
            "batch": self.batch,
            "batches": json.dumps(self.batches),
            "settings": json.dumps(asdict(self.settings)),
        }
        save_file(
            {name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS},
            path,
            metadata=about,
        )

    @classmethod
    def load(cls, path: str | Path) -> Harmony:
        """Read a correction that `save` wrote."""
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as file:
            about = file.metadata()
            return cls(
                tuple(json.loads(about["features"])),
                about["batch"],
                tuple(json.loads(about["batches"])),
                HarmonySettings(**json.loads(about["settings"])),
                *(file.get_tensor(name) for name in _ARRAYS),
            )

    def _members(self, points: np.ndarray, attraction: np.ndarray) -> np.ndarray:
        length = np.linalg.norm(points, axis=0)
        cosine = self.centres.T @ (points / np.where(length > 0, length, 1))
        # Relative to the nearest centre, so that no well is far from all of them.
        weights = np.exp(2 * (cosine - cosine.max(axis=0)) / self.settings.sigma)
        weights *= attraction[:, None]
        return np.asarray(weights / weights.sum(axis=0))

    def _shift_of(self, points: np.ndarray) -> np.ndarray:
        """Shifts (component, cluster) of a new batch onto the levels of the clusters."""
        even = np.ones(self.centres.shape[1])
        moved = points
        for _ in range(_ASSIGNMENT_ROUNDS):
            members = self._members(moved, even)
            held = members.sum(axis=1)
            ridge = self.settings.ridge
            penalty = self.settings.alpha * points.shape[1] / held.size if ridge is None else ridge
            shift = (points @ members.T - self.level * held) / (held + penalty)
            moved = points - shift @ members
        return shift


_ARRAYS = ("mean", "loadings", "centres", "level", "shifts", "crowding")


def _settings(parameters: Mapping[str, Any]) -> HarmonySettings:
    known = [item.name for item in fields(HarmonySettings)]
    for name in parameters:
        if name not in known:
            raise UnknownNameError("parameter", name, [*known, "components", "backend"])
    return HarmonySettings(**parameters)


def _principal_axes(values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and the first `count` principal directions as rows, signs fixed."""
    mean = values.mean(axis=1)
    centred = values - mean[:, None]
    if centred.shape[0] <= centred.shape[1]:
        directions = np.linalg.eigh(centred @ centred.T)[1][:, ::-1]
    else:
        directions = np.linalg.svd(centred, full_matrices=False)[0]
    loadings = directions[:, : min(count, values.shape[1] - 1)].T
    largest = loadings[np.arange(len(loadings)), np.abs(loadings).argmax(axis=1)]
    return mean, loadings * np.where(largest < 0, -1, 1)[:, None]


def _crowding(fit: HarmonyFit, theta: float) -> np.ndarray:
    return np.asarray(((fit.expected + 1) / (fit.observed + 1)) ** theta)
