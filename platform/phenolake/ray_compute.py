"""Map an engine function over fields on a Ray cluster: the same results as on this machine.

A worker that dies costs the fields it was at; Ray gives them to another. What the engine logs there
is logged here.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from phenolake.compute import Item, Result
from phenolake.errors import ConfigurationError

#: Fields given out ahead of the oldest one that is not done yet, for each worker.
_AHEAD = 2
_RETRIES = 5
_ENGINE = "phenolake"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RayCompute:
    """Tasks of one core each on a cluster; with `gpus`, actors that keep their model loaded.

    Parameters
    ----------
    address
        `ray://<host>:10001`, `<host>:6379`, or `auto` for the cluster of this machine.
    gpus
        GPUs of one worker; 0 means none are used. May be a fraction, so that workers share one.
    workers
        Workers at the same time; 0 means as many as the cluster has cores, or GPUs for.

    Raises
    ------
    ConfigurationError
        When it is used and Ray is not installed or the cluster does not answer.
    """

    address: str
    gpus: float = 0
    workers: int = 0

    @property
    def worker_count(self) -> int:
        """Fields worked on at the same time; 1 where a cluster that grows has no worker yet."""
        room = self._room()
        return min(self.workers, room) if self.workers else room

    def _room(self) -> int:
        resources = self._ray().cluster_resources()
        has = resources.get("GPU", 0) / self.gpus if self.gpus else resources.get("CPU", 0)
        return max(1, int(has))

    def _most(self) -> int:
        """Fields given out at once: some ahead, unless that would take more than the workers asked for."""
        room = self._room()
        return self.workers if 0 < self.workers < room else _AHEAD * room

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Apply `function` to every item; results come in order, lazily.

        Items are taken as workers become free, so that a plate's pixels never wait in memory.
        Workers that come and go while a plate is at work are counted anew for each item.
        """
        ray = self._ray()
        workers = self.worker_count
        _log.info("fields go to a Ray cluster with room for %d at once", workers)
        submit = self._to_actors(ray, function) if self.gpus else self._to_tasks(ray, function)
        waiting: deque[Any] = deque()
        try:
            for item in items:
                waiting.append(submit(item))
                while len(waiting) >= self._most():
                    yield _result(ray, waiting.popleft())
            while waiting:
                yield _result(ray, waiting.popleft())
        finally:
            for reference in waiting:  # nobody wants these any more
                ray.cancel(reference, force=not self.gpus)

    def _to_tasks(self, ray: Any, function: Callable[[Item], Result]) -> Callable[[Item], Any]:
        task = ray.remote(num_cpus=1, max_retries=_RETRIES)(_apply)
        held = ray.put(function)
        return lambda item: task.remote(held, item)

    def _to_actors(self, ray: Any, function: Callable[[Item], Result]) -> Callable[[Item], Any]:
        options = {"num_gpus": self.gpus, "max_restarts": -1, "max_task_retries": _RETRIES}
        actor = ray.remote(**options)(_Holder)
        held = ray.put(function)
        turns = cycle([actor.remote(held) for _ in range(self.worker_count)])
        return lambda item: next(turns).apply.remote(item)

    def _ray(self) -> Any:
        try:
            import ray
        except ImportError:
            raise ConfigurationError(
                "PHENOLAKE_RAY_ADDRESS is set and Ray is not installed: "
                "pip install 'phenolake[cluster]', or unset it"
            ) from None
        if not ray.is_initialized():
            try:
                ray.init(self.address, log_to_driver=True, logging_level="ERROR")
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise ConfigurationError(
                    f"no Ray cluster answers at {self.address}; start it, give its token "
                    "(RAY_AUTH_MODE=token, RAY_AUTH_TOKEN), or unset PHENOLAKE_RAY_ADDRESS to use "
                    "this machine's cores"
                ) from error
        return ray


@dataclass(frozen=True)
class _Said:
    """A line that the engine logged in a worker."""

    logger: str
    level: int
    text: str


class _Listener(logging.Handler):
    """Keeps what the engine logs while one field is at work."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[_Said] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line, ready to travel."""
        self.lines.append(_Said(record.name, record.levelno, record.getMessage()))


class _Holder:
    """Keeps a function, and with it the model that it loads, for many items."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def apply(self, item: Any) -> tuple[Any, list[_Said]]:
        """Result for one item, and what was logged for it."""
        return _apply(self._function, item)


def _apply(function: Callable[[Item], Result], item: Item) -> tuple[Result, list[_Said]]:
    listener, engine = _Listener(), logging.getLogger(_ENGINE)
    if engine.getEffectiveLevel() > logging.INFO:
        engine.setLevel(logging.INFO)
    engine.addHandler(listener)
    try:
        return function(item), listener.lines
    finally:
        engine.removeHandler(listener)


def _result(ray: Any, reference: Any) -> Any:
    """The result, or the error that the function itself raised, as a local run would."""
    try:
        result, said = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    for line in said:
        logging.getLogger(line.logger).log(line.level, "%s", line.text)
    return result
