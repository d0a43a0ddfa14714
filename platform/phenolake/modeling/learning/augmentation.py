"""Random flips, quarter turns, shifts and gains of a whole batch of crops at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def augment(crops: torch.Tensor, generator: torch.Generator, padding: int = 4) -> torch.Tensor:
    """Return each crop in one of its eight orientations, shifted by up to `padding` pixels.

    Parameters
    ----------
    crops
        Shape (n, channel, size, size), any dtype and device.
    generator
        On the CPU, so that every device sees the same draws.
    padding
        Zeros put around the crop before a window of the old size is drawn at random.

    References
    ----------
    Leuchowius (2017): flips, rotations by multiples of 90 degrees, 4 pixels of padding.
    """
    import torch
    from torch.nn.functional import pad

    count, _, size, _ = crops.shape
    flips = torch.randint(0, 2, (3, count, 1, 1), generator=generator).bool().to(crops.device)
    shifts = torch.randint(0, 2 * padding + 1, (2, count, 1, 1), generator=generator)
    shifts = shifts.to(crops.device)
    ramp = torch.arange(size, device=crops.device)
    rows, columns = ramp.view(1, size, 1), ramp.view(1, 1, size)
    # Transpose and two flips make all eight orientations, each as likely as the others.
    rows, columns = torch.where(flips[0], columns, rows), torch.where(flips[0], rows, columns)
    rows = torch.where(flips[1], size - 1 - rows, rows) + shifts[0]
    columns = torch.where(flips[2], size - 1 - columns, columns) + shifts[1]
    padded = pad(crops, (padding,) * 4)
    cells = torch.arange(count, device=crops.device).view(count, 1, 1)
    return padded.permute(0, 2, 3, 1)[cells, rows, columns].permute(0, 3, 1, 2)


def vary_intensity(crops: torch.Tensor, generator: torch.Generator, sd: float) -> torch.Tensor:
    """Return float32 crops, each channel of each crop times a random gain of median 1.

    `sd` is that of the gain's natural logarithm. A network trained so looks less at staining that
    differs between plates.
    """
    import torch

    gains = torch.randn((*crops.shape[:2], 1, 1), generator=generator).mul(sd).exp()
    return crops.float() * gains.to(crops.device)
