"""Functions that Ray's workers run: they have to be importable there."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path

import numpy as np


def filtered(seed: int) -> np.ndarray:
    """Some arithmetic on floats whose last bit would show another order of work."""
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(64, 64))
    return np.linalg.svd(image, compute_uv=False).cumsum()


def refuse(number: int) -> int:
    if number == 3:
        raise ValueError("field 3 is odd")
    return number


def count_and_die_once(task: tuple[str, int]) -> int:
    """Leave a mark for every start of a field; the worker of field 2 is killed the first time."""
    folder, number = task
    mark = Path(folder) / f"{number}-{time.time_ns()}"
    mark.touch()
    if number == 2 and len(list(Path(folder).glob("2-*"))) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


class Model:
    """Something slow to load: leaves a mark in a folder each time that it is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.weights: list[int] | None = None

    def __call__(self, number: int) -> tuple[int, int]:
        if self.weights is None:
            (self.folder / f"{os.getpid()}-{time.time_ns()}").touch()
            self.weights = [number * number for number in range(100)]
        return self.weights[number], os.getpid()


def speak(number: int) -> int:
    """What the engine does when something about a field is worth a line."""
    log = logging.getLogger("phenolake.segmentation.tiling")
    log.info("field %d is large", number)
    if number == 1:
        log.warning("field %d is dark", number)
    log.debug("nobody wants this")
    return number
