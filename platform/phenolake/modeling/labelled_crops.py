"""Labelled crops as people share them: one array of images in an NPZ file beside a CSV of facts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from phenolake.errors import TrainingDataError

CROPS_FILE = "crops.npz"
INDEX_FILE = "index.csv"


@dataclass(frozen=True, eq=False)
class CropFolder:
    """`crops` (n, channel, y, x) or (n, y, x), and `index`, one row per crop, if there is one."""

    crops: np.ndarray
    index: pl.DataFrame | None

    def column(self, name: str) -> pl.Series:
        """Return a column of the index as text.

        Raises
        ------
        TrainingDataError
            If there is no such column.
        """
        if self.index is None or name not in self.index.columns:
            known = "no index.csv" if self.index is None else ", ".join(self.index.columns)
            raise TrainingDataError(f"{INDEX_FILE} has no column {name!r} (found: {known})")
        return self.index[name].cast(pl.String)


def read_crop_folder(path: Path) -> CropFolder:
    """Return the crops of a folder with `crops.npz` and `index.csv`, or of an NPZ or NPY file.

    Raises
    ------
    TrainingDataError
        If there are no crops, a file is damaged or holds Python objects, or crops and rows differ
        in number.
    """
    path = Path(path)
    images = path / CROPS_FILE if path.is_dir() else path
    table = images.with_name(INDEX_FILE)
    crops = _array(images)
    if not table.exists():
        return CropFolder(crops, None)
    try:
        index = pl.read_csv(table, infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        raise TrainingDataError(f"{table}: not a readable CSV ({error})") from error
    if index.height != len(crops):
        raise TrainingDataError(f"{table}: {index.height} rows for {len(crops)} crops")
    return CropFolder(crops, index)


def _array(path: Path) -> np.ndarray:
    from zipfile import BadZipFile

    try:
        # Pickled objects would run code when read.
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            names = loaded.files
            if len(names) != 1 and "images" not in names:
                raise TrainingDataError(
                    f"{path}: holds {', '.join(names) or 'nothing'}; call the crops 'images'"
                )
            return np.asarray(loaded["images" if "images" in names else names[0]])
    except FileNotFoundError as error:
        raise TrainingDataError(f"{path}: no crops there") from error
    except (ValueError, OSError, BadZipFile, EOFError) as error:
        raise TrainingDataError(f"{path}: not a usable array of crops ({error})") from error
