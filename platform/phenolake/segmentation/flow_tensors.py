"""The flow decoder on PyTorch tensors: a batch of fields becomes labels without leaving its device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phenolake.segmentation.flow_decoder import (
    FLOW_THRESHOLD,
    ITERATIONS,
    LARGEST_SHARE,
    PROBABILITY_THRESHOLD,
    SMALLEST,
    check_shapes,
)
from phenolake.segmentation.flow_kernels import CATCH_PIXELS, CATCH_REACH, SEED_PIXELS, SEED_REACH

if TYPE_CHECKING:
    from torch import Tensor


def labels_from_flow_tensors(
    flows: Tensor,
    logits: Tensor,
    *,
    probability_threshold: float = PROBABILITY_THRESHOLD,
    flow_threshold: float = FLOW_THRESHOLD,
    iterations: int = ITERATIONS,
    smallest: int = SMALLEST,
    largest_share: float = LARGEST_SHARE,
) -> Tensor:
    """Label images int32 (n, y, x), on the device of the flows, each as `labels_from_flows` draws it.

    Walks add and multiply in the same order as there, so they end in the same pixels to the bit.
    Takes some 350 bytes for each foreground pixel while it runs, and 40 for each pixel.

    Parameters
    ----------
    flows, logits
        Shapes (n, 2, y, x) and (n, y, x), any float dtype, computed with as float32; the rest as
        in `labels_from_flows`.

    Raises
    ------
    ChannelError
        If the shapes do not fit.
    """
    import torch

    from phenolake.segmentation.flow_tensor_objects import fill_object_holes, flow_errors

    check_shapes(tuple(flows.shape), tuple(logits.shape))
    shape = logits.shape
    with torch.inference_mode():
        flows, logits = flows.float(), logits.float()
        foreground = (logits > probability_threshold) & torch.isfinite(logits)
        foreground &= torch.isfinite(flows).all(dim=1)
        if not bool(foreground.any()):
            return torch.zeros(shape, dtype=torch.int32, device=flows.device)
        start = torch.nonzero(foreground)
        ends = _walk_ends(flows, foreground, start, iterations)
        labels, count = _gather_ends(start, ends, shape)
        largest = largest_share * shape[-2] * shape[-1]
        labels = keep(labels, sizes(labels, count) <= largest)
        if flow_threshold > 0 and bool(labels.any()):
            labels = keep(labels, flow_errors(labels, flows, count) <= flow_threshold)
        labels = keep(labels, sizes(labels, count) >= smallest)
        labels = fill_object_holes(labels, count)
        return _renumber(keep(labels, sizes(labels, count) >= smallest), count)


def sizes(labels: Tensor, count: int) -> Tensor:
    """Pixels of each label, int64 (count + 1,)."""
    import torch

    return torch.bincount(labels.flatten(), minlength=count + 1)


def keep(labels: Tensor, kept: Tensor) -> Tensor:
    """Labels without the objects whose entry of `kept`, bool (count + 1,), is false."""
    import torch

    numbers = torch.arange(kept.numel(), device=labels.device)
    return torch.where(kept, numbers, 0)[labels]


def _walk_ends(flows: Tensor, foreground: Tensor, start: Tensor, steps: int) -> Tensor:
    """Row and column in which each walk ends, int64 (2, pixels); see `walk_ends`."""
    import torch
    from torch.nn import functional

    rows, columns = foreground.shape[-2:]
    still = torch.zeros((), dtype=flows.dtype, device=flows.device)
    field = functional.pad(torch.where(foreground[:, None], flows, still), (1, 1, 1, 1))
    dy_field, dx_field = field[:, 0].flatten(), field[:, 1].flatten()
    width = columns + 2
    origin = start[:, 0] * (rows + 2) * width
    row, column = start[:, 1].float(), start[:, 2].float()
    # One number each, rounded to float32 as in the kernel.
    row_scale = torch.tensor(rows / max(rows - 1, 1), dtype=torch.float32, device=flows.device)
    column_scale = torch.tensor(
        columns / max(columns - 1, 1), dtype=torch.float32, device=flows.device
    )
    for _ in range(steps):
        y, x = row * row_scale + 0.5, column * column_scale + 0.5
        top, left = y.long(), x.long()
        down, right = y - top, x - left
        up, back = 1 - down, 1 - right
        corner = origin + top * width + left
        places = (corner, corner + 1, corner + width, corner + width + 1)
        weights = (up * back, up * right, down * back, down * right)
        dy, dx = (
            sum_in_order([w * plane[at] for w, at in zip(weights, places, strict=True)])
            for plane in (dy_field, dx_field)
        )
        row = (row + dy).clamp(0, rows - 1)
        column = (column + dx).clamp(0, columns - 1)
    return torch.stack((row.long(), column.long()))


def sum_in_order(terms: list[Tensor]) -> Tensor:
    """Sum from the first term to the last, so that it rounds as the compiled loop does."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _gather_ends(start: Tensor, ends: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, int]:
    """Labels int64 (n, y, x), each number in one image only, and how many; see `gather_ends`."""
    import torch
    from torch.nn.functional import max_pool2d

    images, rows, columns = shape
    reach = CATCH_REACH
    height, width = rows + 2 * reach, columns + 2 * reach
    device = start.device
    bins = (start[:, 0] * height + ends[0] + reach) * width + ends[1] + reach
    counts = torch.bincount(bins, minlength=images * height * width).int()
    relief = counts.view(images, 1, height, width).float()
    highest = max_pool2d(relief, 2 * SEED_REACH + 1, stride=1, padding=SEED_REACH)
    seeds = torch.nonzero(((relief == highest) & (relief > SEED_PIXELS)).flatten())[:, 0]
    labels = torch.zeros(images * rows * columns, dtype=torch.int64, device=device)
    if seeds.numel() == 0:
        return labels.view(shape), 0
    seeds = seeds[torch.sort(counts[seeds], stable=True).indices]
    around = torch.arange(-reach, reach + 1, device=device)
    window = seeds[:, None, None] + around[:, None] * width + around
    open_bins = (counts[window] > CATCH_PIXELS).float()
    caught = torch.zeros_like(open_bins)
    caught[:, reach, reach] = 1
    for _ in range(reach):
        caught = max_pool2d(caught[:, None], 3, stride=1, padding=1)[:, 0] * open_bins
    numbers = torch.arange(1, seeds.numel() + 1, device=device)
    chosen = caught > 0
    owner = torch.zeros(counts.numel(), dtype=torch.int64, device=device)
    owner.scatter_reduce_(
        0, window[chosen], numbers[:, None, None].expand(window.shape)[chosen], "amax"
    )
    labels[(start[:, 0] * rows + start[:, 1]) * columns + start[:, 2]] = owner[bins]
    return labels.view(shape), seeds.numel()


def _renumber(labels: Tensor, count: int) -> Tensor:
    """Number the objects of each image 1..n by their first pixel in raster order; int32."""
    import torch

    flat = labels.flatten()
    pixels = torch.nonzero(flat)[:, 0]
    nowhere = flat.numel()
    first = torch.full((count + 1,), nowhere, device=labels.device)
    first.scatter_reduce_(0, flat[pixels], pixels, "amin")
    order = torch.sort(first).indices
    order = order[first[order] < nowhere]
    image = first[order] // (labels.shape[-2] * labels.shape[-1])
    per_image = torch.bincount(image, minlength=labels.shape[0])
    before = per_image.cumsum(0) - per_image
    lookup = torch.zeros(count + 1, dtype=torch.int32, device=labels.device)
    ranks = torch.arange(1, order.numel() + 1, device=labels.device) - before[image]
    lookup[order] = ranks.int()
    return lookup[labels]
