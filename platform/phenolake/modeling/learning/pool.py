"""The crops of a training: on the device where they fit, else fetched a batch ahead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

#: Share of a device's free memory that crops may take; the rest is for the network.
_ROOM = 0.4


class CropPool:
    """Crops uint8 (n, channel, size, size), an array in memory or mapped from disk.

    On a CPU nothing is copied. On another device all crops are put there once if they fit; if not,
    batches are gathered by a thread while the device works on the one before.
    """

    def __init__(self, crops: np.ndarray, device: str) -> None:
        import torch

        self.device = device
        self.shape = crops.shape[1:]
        self._crops = torch.from_numpy(crops)
        self._fetches = device != "cpu" and crops.nbytes > _free_bytes(device) * _ROOM
        if not self._fetches:
            self._crops = self._crops.to(device)

    def __len__(self) -> int:
        return len(self._crops)

    def batches(
        self, row_batches: Iterable[torch.Tensor]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield row numbers (on the CPU) and crops (on the device) of each batch, in order."""
        if not self._fetches:
            for rows in row_batches:
                yield rows, self._crops.index_select(0, rows.to(self.device))
            return
        with ThreadPoolExecutor(max_workers=1) as thread:
            ahead = None
            for rows in row_batches:
                behind, ahead = ahead, (rows, thread.submit(self._gather, rows))
                if behind is not None:
                    yield behind[0], behind[1].result().to(self.device, non_blocking=True)
            if ahead is not None:
                yield ahead[0], ahead[1].result().to(self.device, non_blocking=True)

    def _gather(self, rows: torch.Tensor) -> torch.Tensor:
        crops = self._crops.index_select(0, rows)
        return crops.pin_memory() if self.device.startswith("cuda") else crops


def _free_bytes(device: str) -> float:
    import torch

    return torch.cuda.mem_get_info(device)[0] if device.startswith("cuda") else np.inf
