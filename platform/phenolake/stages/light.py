"""Hand a plate's illumination functions to worker processes: one file, mapped by all of them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from phenolake.images.correction import Correction
from phenolake.images.sites import Site, read_site
from phenolake.lake import decode_array


@contextmanager
def illumination_file(functions: pl.DataFrame, channels: Sequence[str]) -> Iterator[Path | None]:
    """Write rows of `illumination_functions` to a temporary file, float32 (channel, y, x).

    Yields None when a channel has no function: then images are used as they are.
    """
    rows = {row["channel"]: row for row in functions.iter_rows(named=True)}
    if not all(channel in rows for channel in channels):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="phenolake-") as folder:
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
