"""Hand a plate's illumination functions to its workers: one file, mapped by all of them."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from phenolake.images.correction import Correction
from phenolake.images.sites import Site, read_site
from phenolake.lake import Lake, decode_array
from phenolake.stages.work_folder import work_folder

#: A file so old is a killed run's.
_FORGOTTEN_S = 2 * 86400


@contextmanager
def illumination_file(
    functions: pl.DataFrame, channels: Sequence[str], lake: Lake
) -> Iterator[Path | None]:
    """Write rows of `illumination_functions` to a temporary file, float32 (channel, y, x).

    It lies in the lake's work folder, where workers on other machines find it. Yields None when a
    channel has no function: then images are used as they are.
    """
    rows = {row["channel"]: row for row in functions.iter_rows(named=True)}
    if not all(channel in rows for channel in channels):
        yield None
        return
    place = work_folder(lake) / "illumination"
    place.mkdir(parents=True, exist_ok=True)
    for left in place.iterdir():
        with suppress(FileNotFoundError):  # another plate's, gone just now
            if left.stat().st_mtime < time.time() - _FORGOTTEN_S:
                shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        path = Path(folder) / "illumination.npy"
        stack = [
            decode_array(rows[c]["illumination"], (rows[c]["height"], rows[c]["width"]))
            for c in channels
        ]
        np.save(path, np.stack(stack))
        # Lakes of the first version have neither column: their functions divide.
        rules = [
            (rows[c].get("convention") or "divide", rows[c].get("subtracted") or 0.0)
            for c in channels
        ]
        _rules_file(path).write_text(json.dumps(rules), encoding="utf-8")
        yield path


def read_corrected(site: Site, illumination: Path | None) -> np.ndarray:
    """Pixels of a site, float32 (channel, y, x), corrected by the plate's illumination functions."""
    if illumination is None:
        return read_site(site)
    return read_site(site, dict(zip(site.channels, _mapped(illumination), strict=True)))


@lru_cache(maxsize=2)
def _mapped(path: Path) -> list[Correction]:
    functions = np.load(path, mmap_mode="r")
    rules = json.loads(_rules_file(path).read_text(encoding="utf-8"))
    return [
        Correction(function, convention, background)
        for function, (convention, background) in zip(functions, rules, strict=True)
    ]


def _rules_file(path: Path) -> Path:
    return path.with_suffix(".json")
