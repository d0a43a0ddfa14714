"""Corrections that are one linear map per batch: fitted once, kept, applied to later plates.

What all batches are moved to (the target) is learned once. A batch that comes later gets a map
from its own controls to that target, so that no earlier profile moves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from phenolake.correction import alignment, combat
from phenolake.correction.wells import Wells
from phenolake.errors import ControlsMissingError
from phenolake.profiling.feature_matrix import with_matrix

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class LinearMethod:
    """How a method learns.

    Attributes
    ----------
    target
        (wells, parameters) -> what all batches share.
    learned
        (target, controls of one batch, parameters) -> what the batch's map is made of.
    moved
        (target, what was learned, wells of the batch) -> the wells, corrected.
    at_least
        Controls a batch needs.
    defaults
        Parameters and their values.
    """

    target: Callable[[Wells, Mapping[str, Any]], Arrays]
    learned: Callable[[Arrays, np.ndarray, Mapping[str, Any]], Arrays]
    moved: Callable[[Arrays, Arrays, np.ndarray], np.ndarray]
    at_least: int
    defaults: Mapping[str, Any]


def _mean_of_controls(wells: Wells, parameters: Mapping[str, Any]) -> Arrays:
    return {"origin": np.zeros(len(wells.features))}


def _mean_of_batch(target: Arrays, controls: np.ndarray, parameters: Mapping[str, Any]) -> Arrays:
    return {"offset": target["origin"] - controls.mean(axis=1)}


def _shifted(target: Arrays, own: Arrays, values: np.ndarray) -> np.ndarray:
    return np.asarray(values + own["offset"][:, None])


LINEAR: dict[str, LinearMethod] = {
    "mean_centring": LinearMethod(_mean_of_controls, _mean_of_batch, _shifted, 1, {}),
    "combat": LinearMethod(combat.target, combat.learned, combat.moved, 2, {}),
    "coral": LinearMethod(
        alignment.pooled, alignment.learned, alignment.moved, 2, {"regularization": 1.0}
    ),
    "tvn": LinearMethod(
        alignment.sphered,
        alignment.learned,
        alignment.moved,
        2,
        {"kind": "ZCA-cor", "regularization": 0.01, "alignment_regularization": 1.0},
    ),
}


@dataclass(frozen=True)
class BatchMaps:
    """A fitted linear correction.

    Attributes
    ----------
    method, features, batch, parameters
        What was fitted, on which features and batch column.
    target
        What all batches are moved to, by name.
    maps
        Batch to what its map is made of, by name.
    """

    method: str
    features: tuple[str, ...]
    batch: str
    parameters: Mapping[str, Any]
    target: Arrays
    maps: Mapping[str, Arrays]

    @classmethod
    def fit(cls, method: str, wells: Wells, parameters: Mapping[str, Any]) -> BatchMaps:
        """Learn the target and the map of every batch.

        Raises
        ------
        ControlsMissingError
            If a batch has too few reference wells; names it.
        """
        how = LINEAR[method]
        parameters = {**how.defaults, **parameters}
        controls = {name: wells.of_batch(name, method, how.at_least)[1] for name in wells.names()}
        target = how.target(wells, parameters)
        maps = {name: how.learned(target, own, parameters) for name, own in controls.items()}
        return cls(method, tuple(wells.features), wells.batch, parameters, target, maps)

    def extended(
        self, profiles: pl.DataFrame | pl.LazyFrame, reference: pl.Expr | None = None
    ) -> BatchMaps:
        """Return the same correction with maps for the batches it did not know; known ones stay."""
        frame = profiles.lazy().collect()
        wells = Wells.of(frame, self.batch, reference, self.method, list(self.features))
        how = LINEAR[self.method]
        maps = dict(self.maps)
        for name in wells.names():
            if name not in maps:
                _, own = wells.of_batch(name, self.method, how.at_least)
                maps[name] = how.learned(self.target, own, self.parameters)
        return BatchMaps(self.method, self.features, self.batch, self.parameters, self.target, maps)

    def transform(self, profiles: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
        """Metadata columns of the profiles, followed by the corrected features.

        Raises
        ------
        ControlsMissingError
            If a batch has no map yet; `extended` makes one.
        UnknownNameError
            If a feature the maps were fitted on is missing.
        """
        frame = profiles.lazy().collect()
        wells = Wells.of(frame, self.batch, None, self.method, list(self.features))
        how = LINEAR[self.method]
        corrected = np.empty_like(wells.values)
        for name in wells.names():
            if name not in self.maps:
                raise ControlsMissingError(
                    self.method,
                    f"batch {name}, which was not fitted",
                    "`extended` with its controls",
                )
            rows = wells.batches == name
            corrected[:, rows] = how.moved(self.target, self.maps[name], wells.values[:, rows])
        return with_matrix(wells.metadata, self.features, corrected)

    def save(self, path: str | Path) -> None:
        """Write the maps as a safetensors file."""
        from safetensors.numpy import save_file

        about = {
            "method": self.method,
            "features": json.dumps(self.features),
            "batch": self.batch,
            "parameters": json.dumps(dict(self.parameters)),
            "batches": json.dumps(list(self.maps)),
        }
        arrays = {f"target.{name}": value for name, value in self.target.items()}
        for number, own in enumerate(self.maps.values()):
            arrays |= {f"{number}.{name}": value for name, value in own.items()}
        contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
        save_file(contiguous, path, metadata=about)

    @classmethod
    def load(cls, path: str | Path) -> BatchMaps:
        """Read maps that `save` wrote."""
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as file:
            about = file.metadata()
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 -- no mapping
        maps = {
            name: _part(arrays, str(number))
            for number, name in enumerate(json.loads(about["batches"]))
        }
        return cls(
            about["method"],
            tuple(json.loads(about["features"])),
            about["batch"],
            json.loads(about["parameters"]),
            _part(arrays, "target"),
            maps,
        )


def _part(arrays: Arrays, start: str) -> Arrays:
    """Arrays whose names start so, by the rest of their names."""
    return {
        name.removeprefix(f"{start}."): array
        for name, array in arrays.items()
        if name.startswith(f"{start}.")
    }
