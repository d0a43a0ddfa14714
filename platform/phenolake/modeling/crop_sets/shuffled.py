"""Batches of crops in random order, straight from the table: no copy on disk, bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

#: Gives the crops of one shard, uint8 (n, channel, size, size).
Shard = Callable[[], np.ndarray]


def shuffled_batches(
    shards: Sequence[Shard], batch_size: int, *, seed: int = 0, epoch: int = 0, at_once: int = 4
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield all crops of some shards once, in batches in random order.

    Each batch is the place of its crops, int64 (n, 2) as shard and row, and their pixels, uint8
    (n, channel, size, size): a view of memory that is used again once the next batch is asked for.

    Parameters
    ----------
    shards
        Read in random order, `at_once` of them mixed with each other while the next ones are read
        by a thread; so twice `at_once` shards are in memory.
    seed, epoch
        Other ones give another order.

    Notes
    -----
    A crop can only be near crops of the shards it was mixed with: order rows of a table by plate,
    not by class, or mix more shards at once.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(shards))
    groups = [order[start : start + at_once] for start in range(0, len(order), at_once)]

    # Fresh memory for each group would cost more than reading: the system clears it first.
    buffers = [np.empty(0, np.uint8), np.empty(0, np.uint8)]

    def read(turn: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        group = groups[turn]
        parts = [shards[shard]() for shard in group]
        counts = [len(part) for part in parts]
        place = draw.permutation(sum(counts))
        shape = (len(place), *parts[0].shape[1:])
        if buffers[turn % 2].size < np.prod(shape):
            buffers[turn % 2] = np.empty(np.prod(shape), np.uint8)
        pixels = buffers[turn % 2][: np.prod(shape)].reshape(shape)
        origin = np.empty((len(place), 2), np.int64)
        for shard, part, where in zip(
            group, parts, np.split(place, np.cumsum(counts)[:-1]), strict=True
        ):
            # Written to their random places in one go: each pixel is copied once.
            pixels[where] = part
            origin[where, 0], origin[where, 1] = shard, np.arange(len(part))
        return origin, pixels

    with ThreadPoolExecutor(max_workers=1) as thread:
        draws = rng.spawn(len(groups))
        ahead = thread.submit(read, 0, draws[0]) if groups else None
        for turn in range(len(groups)):
            assert ahead is not None
            origin, pixels = ahead.result()
            if turn + 1 < len(groups):
                ahead = thread.submit(read, turn + 1, draws[turn + 1])
            for start in range(0, len(pixels), batch_size):
                yield origin[start : start + batch_size], pixels[start : start + batch_size]
