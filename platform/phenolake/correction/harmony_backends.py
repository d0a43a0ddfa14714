"""Where Harmony runs: numpy with compiled loops, or torch on any device."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from phenolake.errors import UnknownNameError


class Backend(Protocol):
    """The few array functions that differ between libraries; arrays are the library's own."""

    def array(self, values: np.ndarray) -> Any:
        """Values as an array of the library, on the device."""
        ...

    def to_numpy(self, values: Any) -> np.ndarray:
        """Values as float64."""
        ...

    def exp(self, values: Any) -> Any:
        """Exponential, in the memory of the argument."""
        ...

    def log(self, values: Any) -> Any:
        """Logarithm."""
        ...

    def concatenate(self, parts: list[Any]) -> Any:
        """One array of the rows of several."""
        ...

    def sums_by_batch(self, members: Any, batches: np.ndarray, count: int) -> Any:
        """Sum of the rows of each batch, (batch, cluster)."""
        ...

    def reassign(
        self,
        closeness: Any,
        batches: np.ndarray,
        blocks: list[np.ndarray],
        share: Any,
        theta: float,
        members: Any,
        observed: Any,
    ) -> float:
        """Assign wells a block at a time; see `harmony_kernels.reassign`."""
        ...


def backend_named(name: str) -> Backend:
    """Return the backend of a name: `numpy`, `torch`, or `torch:` and a device."""
    library, _, device = name.partition(":")
    if library == "torch":
        return _Torch(device or "cpu")
    if library != "numpy":
        raise UnknownNameError("backend", library, ("numpy", "torch"))
    return _Numpy()


class _Numpy:
    def array(self, values: np.ndarray) -> np.ndarray:
        return values

    def to_numpy(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(values, np.float64)

    def exp(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(values, out=values))

    def log(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(values))

    def concatenate(self, parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts)

    def sums_by_batch(self, members: np.ndarray, batches: np.ndarray, count: int) -> np.ndarray:
        is_of = (np.arange(count)[:, None] == batches).astype(members.dtype)
        return np.asarray(is_of @ members)

    def reassign(
        self,
        closeness: np.ndarray,
        batches: np.ndarray,
        blocks: list[np.ndarray],
        share: np.ndarray,
        theta: float,
        members: np.ndarray,
        observed: np.ndarray,
    ) -> float:
        from phenolake.correction.harmony_kernels import reassign

        rows, ends = np.concatenate(blocks), np.cumsum([block.size for block in blocks])
        theta = members.dtype.type(theta)
        return float(reassign(closeness, batches, rows, ends, share, theta, members, observed))


class _Torch:
    def __init__(self, device: str) -> None:
        import torch

        self.torch, self.device = torch, device

    def array(self, values: np.ndarray) -> Any:
        return self.torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def to_numpy(self, values: Any) -> np.ndarray:
        return np.asarray(values.cpu().numpy(), np.float64)

    def exp(self, values: Any) -> Any:
        return values.exp_()

    def log(self, values: Any) -> Any:
        return self.torch.log(values)

    def concatenate(self, parts: list[Any]) -> Any:
        return self.torch.cat(parts)

    def sums_by_batch(self, members: Any, batches: np.ndarray, count: int) -> Any:
        sums = self.torch.zeros(
            (count, members.shape[1]), dtype=members.dtype, device=members.device
        )
        return sums.index_add_(0, self.array(batches), members)

    def reassign(
        self,
        closeness: Any,
        batches: np.ndarray,
        blocks: list[np.ndarray],
        share: Any,
        theta: float,
        members: Any,
        observed: Any,
    ) -> float:
        energy: Any = 0.0
        for block in blocks:
            rows, of = self.array(block), self.array(batches[block])
            observed.index_add_(0, of, members[rows], alpha=-1)
            crowding = (observed.sum(0) * share[:, None] + 1) / (observed + 1)
            push = crowding**theta
            weights = closeness[rows] * push[of]
            total = weights.sum(1, keepdim=True) + 1e-30
            weights /= total
            members[rows] = weights
            observed.index_add_(0, of, weights)
            energy = energy + (weights * push.log()[of]).sum() - total.log().sum()
        return float(energy)
