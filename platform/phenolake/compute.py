"""Map an engine function over fields, on this machine's cores.

The functions must be importable (spawned workers pickle them by name) and deterministic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from joblib import cpu_count

Item = TypeVar("Item")
Result = TypeVar("Result")


class Compute(Protocol):
    """Anything that maps a function over items and yields results in the items' order."""

    @property
    def worker_count(self) -> int:
        """Items worked on at the same time."""
        ...

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
        """The given number, or one for each core this process may use."""
        return self.workers or cpu_count()

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
