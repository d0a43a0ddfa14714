"""Flow check and hole filling of many objects at once, on PyTorch tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

#: Pixels of bounding boxes looked at in one go while holes are filled.
_BOX_PIXELS = 2**26
#: Steps of the flood between two looks at whether it still moves.
_LOOK = 8


def bounding_boxes(labels: Tensor, count: int) -> Tensor:
    """First row, last row, first and last column, and image of each label, int64 (5, count + 1).

    Labels that are absent, and 0, have a last row of -1.
    """
    import torch

    image, row, column = torch.nonzero(labels, as_tuple=True)
    label = labels[image, row, column]
    far = max(labels.shape)
    boxes = torch.full((5, count + 1), -1, device=labels.device)
    boxes[0], boxes[2] = far, far
    boxes[0].scatter_reduce_(0, label, row, "amin")
    boxes[1].scatter_reduce_(0, label, row, "amax")
    boxes[2].scatter_reduce_(0, label, column, "amin")
    boxes[3].scatter_reduce_(0, label, column, "amax")
    boxes[4].scatter_reduce_(0, label, image, "amax")
    return boxes


def flow_errors(labels: Tensor, flows: Tensor, count: int) -> Tensor:
    """Mean squared distance of flows to those of the outlines, per label; float64 (count + 1,).

    `labels` is int64 (n, y, x), each number in one image; see `flow_check.flow_errors`, which stops
    heating an object that rests, while this goes on to the image's last step.
    """
    import torch
    from torch.nn.functional import pad

    boxes = bounding_boxes(labels, count)
    there = boxes[1] >= 0
    extents = boxes[1] - boxes[0] + boxes[3] - boxes[2] + 4
    steps = torch.zeros(labels.shape[0], dtype=torch.int64, device=labels.device)
    steps.scatter_reduce_(0, boxes[4, there], 2 * extents[there], "amax")
    padded = pad(labels, (1, 1, 1, 1))
    width = padded.shape[-1]
    flat = padded.flatten()
    image, row, column = torch.nonzero(labels, as_tuple=True)
    # Images that need most steps first, so that those still heated are always the first pixels.
    order = torch.sort(steps[image], descending=True, stable=True).indices
    image, row, column = image[order], row[order], column[order]
    at = (image * padded.shape[1] + row + 1) * width + column + 1
    label = flat[at]
    centre = _centres(label, row, column, at, boxes)
    nowhere = flat.numel()
    heat = torch.zeros(nowhere + 1, dtype=torch.float64, device=labels.device)
    moves = torch.tensor([0, 1, -1], device=labels.device)
    around = (moves[:, None] * width + moves).flatten()[:, None] + at
    around = torch.where(flat[around] == label, around, nowhere)
    done = 0
    centre_steps = steps[boxes[4, there]]
    for last in torch.unique(steps[steps > 0]).tolist():
        heated = int((steps[image] >= last).sum())
        sources = centre[there][centre_steps >= last]
        near, here = around[:, :heated].contiguous(), at[:heated]
        for _ in range(last - done):
            heat[sources] += 1
            heat[here] = heat[near].sum(dim=0) / 9
        done = last
    dy = heat[at + width] - heat[at - width]
    dx = heat[at + 1] - heat[at - 1]
    length = 1e-60 + (dy * dy + dx * dx).sqrt()
    off_y = dy / length - flows[image, 0, row, column].double()
    off_x = dx / length - flows[image, 1, row, column].double()
    totals = torch.zeros(count + 1, dtype=torch.float64, device=labels.device)
    totals.index_add_(0, label, off_y * off_y + off_x * off_x)
    return totals / torch.bincount(label, minlength=count + 1).clamp(min=1)


def _centres(label: Tensor, row: Tensor, column: Tensor, at: Tensor, boxes: Tensor) -> Tensor:
    """`at` of the pixel nearest to each label's centre of mass, rounded, the first in raster order."""
    import torch

    count = boxes.shape[1]
    pixels = torch.bincount(label, minlength=count).clamp(min=1)
    distance = torch.zeros_like(row)
    for place, first in ((row, boxes[0]), (column, boxes[2])):
        total = torch.zeros(count, dtype=torch.int64, device=label.device)
        total.index_add_(0, label, place - first[label])
        # Halves round to even, counted from the first row and column of the bounding box.
        middle = (total.double() / pixels).round().long() + first
        distance = distance + (place - middle[label]) ** 2
    far = torch.iinfo(torch.int64).max
    nearest = torch.full((count,), far, device=label.device)
    nearest.scatter_reduce_(0, label, distance, "amin")
    best = distance == nearest[label]
    centre = torch.full((count,), far, device=label.device)
    return centre.scatter_reduce_(0, label[best], at[best], "amin")


def fill_object_holes(labels: Tensor, count: int) -> Tensor:
    """Labels with the holes of every object filled; see `flow_kernels.fill_object_holes`."""
    import torch
    from torch.nn.functional import pad

    boxes = bounding_boxes(labels, count)
    extent = torch.maximum(boxes[1] - boxes[0], boxes[3] - boxes[2]) + 3
    extent[boxes[1] < 0] = 0
    padded = pad(labels, (1, 1, 1, 1))
    flat = padded.flatten()
    best = torch.zeros_like(flat)
    edge = 8
    while edge < 2 * max(padded.shape):
        members = torch.nonzero((extent > edge // 2) & (extent <= edge))[:, 0]
        for chunk in members.split(max(1, _BOX_PIXELS // edge**2)):
            # Where boxes leave the image, the indices stay inside; such pixels are made outside.
            span = torch.arange(edge, device=labels.device)
            row = boxes[0, chunk][:, None] + span
            column = boxes[2, chunk][:, None] + span
            image = boxes[4, chunk][:, None] * padded.shape[1]
            at = (image + row.clamp(max=padded.shape[1] - 1))[:, :, None] * padded.shape[2]
            at = at + column.clamp(max=padded.shape[2] - 1)[:, None, :]
            inside_box = (row <= boxes[1, chunk][:, None] + 1)[:, :, None] & (
                column <= boxes[3, chunk][:, None] + 1
            )[:, None, :]
            mine = (flat[at] == chunk[:, None, None]) & inside_box
            filled = ~_reachable(mine)
            area = filled.sum(dim=(1, 2))
            holes = filled & ~mine
            key = (area * (count + 1) + chunk)[:, None, None].expand(holes.shape)
            best.scatter_reduce_(0, at[holes], key[holes], "amax")
        edge *= 2
    inner = best.view(padded.shape)[:, 1:-1, 1:-1]
    return torch.where(inner > 0, inner % (count + 1), labels)


def _reachable(walls: Tensor) -> Tensor:
    """Pixels that a 4-connected way through no wall joins to the first row or column, bool."""
    import torch

    free = ~walls
    reached = torch.zeros_like(walls)
    # The box begins one pixel before the object, and what lies behind it is free.
    reached[:, 0], reached[:, :, 0] = True, True
    reached[:, -1] = free[:, -1]
    reached[:, :, -1] |= free[:, :, -1]
    pixels = -1
    while True:
        for _ in range(_LOOK):
            wider = reached.clone()
            wider[:, 1:] |= reached[:, :-1]
            wider[:, :-1] |= reached[:, 1:]
            wider[:, :, 1:] |= reached[:, :, :-1]
            wider[:, :, :-1] |= reached[:, :, 1:]
            reached = wider & free
        now = int(reached.sum())
        if now == pixels:
            return reached
        pixels = now
