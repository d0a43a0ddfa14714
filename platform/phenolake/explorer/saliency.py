"""Pictures of cells with what speaks for a class in them, asked of the registered network itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from phenolake.errors import NotFoundError, UnknownNameError
from phenolake.pictures.composite import Rgb, tiled
from phenolake.service.images import in_order
from phenolake.service.reading import LakeReader

if TYPE_CHECKING:
    from phenolake.modeling import LoadedModel

#: Returns a registered model by name and version.
Loader = Callable[[str, str], "LoadedModel"]
CellKey = tuple[str, str, int, int]
_KEYS = ["Metadata_Plate", "Metadata_Well", "Metadata_Site", "Metadata_ObjectNumber"]
_MODELS_KEPT = 2
_SQLITE = "sqlite:///"


def registry_loader(tracking_uri: str) -> Loader:
    """Loader of models of an MLflow registry, which is never created by looking."""

    def load(name: str, version: str) -> LoadedModel:
        from phenolake.modeling import load_model

        file = tracking_uri.removeprefix(_SQLITE)
        if tracking_uri.startswith(_SQLITE) and not Path(file).exists():
            raise NotFoundError("model registry", tracking_uri)
        return load_model(f"models:/{name}/{version}", tracking_uri)

    return load


class Saliency:
    """Where networks look in the stored crops of a lake.

    Parameters
    ----------
    reader
        The lake.
    load
        Returns a model; the last two are kept.
    """

    def __init__(self, reader: LakeReader, load: Loader) -> None:
        self._reader = reader
        self._model = lru_cache(maxsize=_MODELS_KEPT)(load)
        self._asking = Lock()

    def why_not(self, screen: str, name: str, version: str) -> str:
        """Say why there is no map of a model's places; empty if there is one."""
        from phenolake.modeling import TrainedNetwork

        model = self._model(name, version)
        if not isinstance(model.model, TrainedNetwork):
            return (
                f"{name} version {version} is a {model.kind}: only single networks of images tell "
                "which places of a cell speak for a class."
            )
        if self._reader.read("single_cell_crops", {"Metadata_Screen": screen}, _KEYS).is_empty():
            return "The lake holds no crops of this screen; materialize single_cell_crops."
        return ""

    def picture(
        self, screen: str, name: str, version: str, label: str, cells: Sequence[CellKey]
    ) -> Rgb:
        """Each cell in pseudo-colours, and below it what speaks for `label`, uint8 (y, x, 3).

        Raises
        ------
        NotFoundError
            If there is no map of this model, or no crop of a cell.
        UnknownNameError
            If the registry has no such model, or the model no such class.
        """
        from phenolake.modeling.grad_cam import grad_cam
        from phenolake.pictures.example_cells import coloured_cells, heated_cells

        if problem := self.why_not(screen, name, version):
            raise NotFoundError("map of places", problem)
        network = self._model(name, version).model
        if label not in network.classes:
            raise UnknownNameError("class", label, network.classes)
        crops, channels = self._crops(screen, cells)
        codes = np.full(len(crops), network.classes.index(label))
        # It listens to the network's layers, and pages ask for several pictures at once.
        with self._asking:
            heat = grad_cam(network, crops, codes)  # type: ignore[arg-type]
        # The same colours as in pictures of fields.
        order = [channels.index(channel) for channel in in_order(channels)]
        shown = zip(coloured_cells(crops[:, order]), heated_cells(crops, heat), strict=True)
        return tiled([_larger(np.vstack(pair)) for pair in shown], min(len(crops), 8))

    def _crops(self, screen: str, cells: Sequence[CellKey]) -> tuple[np.ndarray, list[str]]:
        """Crops of the cells in their order, uint8 (n, channel, size, size), and the channels."""
        wanted = pl.DataFrame(cells, _KEYS, orient="row").with_row_index("order")
        parts = []
        for (plate,), rows in wanted.group_by(["Metadata_Plate"]):
            table = self._reader.lake.scan(
                "single_cell_crops", self._reader.plate(screen, str(plate))
            ).filter(pl.col("Metadata_Well").is_in(rows["Metadata_Well"].implode()))
            keys = pl.col(_KEYS[2:]).cast(pl.Int64)
            parts.append(table.with_columns(keys).join(rows.lazy(), on=_KEYS).collect())
        found = pl.concat(parts).sort("order")
        if found.height < len(cells):
            raise NotFoundError("crop", "of every cell asked for", f"screen {screen}")
        kinds = set(found["channels", "size"].rows())
        if len(kinds) > 1:
            raise NotFoundError("one size", "of all crops", f"screen {screen}")
        names, size = kinds.pop()
        channels = names.split(",")
        pixels = np.frombuffer(bytearray().join(found["pixels"]), np.uint8)
        return pixels.reshape(-1, len(channels), size, size), channels


def _larger(picture: Rgb, smallest: int = 96) -> Rgb:
    """Pixels repeated until the picture is wide enough to be seen."""
    times = -(-smallest // picture.shape[1])
    return np.repeat(np.repeat(picture, times, axis=0), times, axis=1)
