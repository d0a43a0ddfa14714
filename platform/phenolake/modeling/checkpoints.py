"""State of a training run after each epoch, so that a killed run goes on where it stopped."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from phenolake.errors import DiskFullError, ModelFileError


def training_fingerprint(settings: dict[str, Any], *arrays: np.ndarray) -> str:
    """Return a SHA-256 over settings and data; runs with the same one may share a checkpoint."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


class Checkpoint:
    """The file of one training run in a folder; named by fingerprint, so that runs never mix."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.path = Path(folder) / f"{fingerprint[:32]}.pt"

    def save(self, state: dict[str, Any]) -> None:
        """Replace the file in one step: a kill leaves the old state or the new one.

        Raises
        ------
        DiskFullError
            If there is no room; the old state stays.
        """
        import torch

        content = io.BytesIO()
        torch.save(state, content)
        partial = self.path.with_suffix(f".{os.getpid()}.partial")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content.getbuffer())
        except OSError as error:
            partial.unlink(missing_ok=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFullError(self.path) from error
            raise
        partial.replace(self.path)

    def load(self, device: str = "cpu") -> dict[str, Any] | None:
        """Return the saved state, or nothing if there is none.

        Raises
        ------
        ModelFileError
            If the file is damaged or holds anything but tensors and plain values.
        """
        import pickle

        import torch

        if not self.path.exists():
            return None
        try:
            return torch.load(self.path, map_location=device, weights_only=True)
        except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
            raise ModelFileError(
                self.path, "not a usable checkpoint; delete it to start anew"
            ) from error
