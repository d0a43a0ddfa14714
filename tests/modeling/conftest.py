"""Small labelled cells that a classifier can tell apart."""

from __future__ import annotations

import os

import numpy as np
import polars as pl
import pytest

from phenolake.modeling import Architecture, Tracker

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture(scope="session")
def tiny():
    """A network that trains in a moment."""
    return Architecture(
        classes=2, channels=2, size=16, widths=(4, 8), convolutions=1, hidden=(12,), dropout=0.1
    )


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def disks():
    """160 crops, uint8 (n, 2, 16, 16), of small and of large disks, and their classes."""
    rng = np.random.default_rng(1)
    labels = np.array(["small", "large"] * 80)
    radius = np.where(labels == "small", 3.0, 6.0) + rng.normal(0, 0.3, 160)
    y, x = np.mgrid[:16, :16] - 7.5
    disk = np.hypot(y, x) < radius[:, None, None]
    crops = 150 * disk[:, None] + rng.normal(40, 8, (160, 2, 16, 16))
    return crops.clip(0, 255).astype(np.uint8), labels


@pytest.fixture(scope="session")
def parts():
    """A split of 160 cells: every fourth pair is held out."""
    return np.where(np.arange(160) % 8 < 6, "train", "validation")


@pytest.fixture(scope="session")
def blobs():
    """A frame of 300 cells of three classes with keys, and their classes."""
    rng = np.random.default_rng(2)
    codes = np.arange(300) % 3
    values = rng.normal(0, 1, (300, 6)) + codes[:, None] * np.array([1.5, -1, 0.5, 0, 0, 2])
    frame = pl.DataFrame({f"Nuclei_F_{i}": values[:, i] for i in range(6)}).with_columns(
        Metadata_Plate=pl.lit("P1"),
        Metadata_Well=pl.Series(
            [f"{'ABC'[code]}{1 + i // 60:02d}" for i, code in enumerate(codes)]
        ),
        Metadata_ObjectNumber=pl.int_range(1, 301, dtype=pl.Int32),
    )
    return frame, [("dmso", "taxol", "sn38")[code] for code in codes]


@pytest.fixture(scope="session")
def tracker(tmp_path_factory):
    """An MLflow store in SQLite; making one takes seconds, so all share it."""
    return Tracker(f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/store/mlflow.db")
