"""Map an engine function over fields, on this machine's cores.

The functions must be importable (spawned workers pickle them by name) and deterministic.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Compute(Protocol):
    """Anything that maps a function over items and yields results in the items' order."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Apply `function` to every item; results come in order, lazily."""
        ...


@dataclass(frozen=True)
class LocalCompute:
    """Processes on this machine; `workers=1` runs in the calling process.

    Workers are started once and reused by later calls; each runs its libraries on one thread.
    """

    workers: int = 0

    @property
    def worker_count(self) -> int:
        """Workers used: the given number, or one for each core this process may use."""
        return (
            self.workers or len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else (self.workers or os.cpu_count() or 1)
        )

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Apply `function` to every item; results come in order, lazily."""
        if self.worker_count == 1:
            yield from map(function, items)
            return
        from joblib import Parallel, delayed, parallel_config

        with parallel_config(backend="loky", inner_max_num_threads=1):
            parallel = Parallel(
                n_jobs=self.worker_count,
                return_as="generator",
                pre_dispatch="2*n_jobs",
                batch_size=1,
            )
            yield from parallel(delayed(function)(item) for item in items)
