"""Walks along a flow field, all that are needed and no step too many."""

from __future__ import annotations

import numba
import numpy as np

#: Walks taken at a time: one alone waits for each of its steps, many keep the processor busy.
_LANES = 16


@numba.njit(cache=True, nogil=True, error_model="numpy")
def padded_field(flows, foreground):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Flows as (y + 2, x + 2, 2) with a rim of zeros; zero also outside the foreground."""
    _, rows, columns = flows.shape
    field = np.zeros((rows + 2, columns + 2, 2), np.float32)
    for row in range(rows):
        for column in range(columns):
            if foreground[row, column]:
                field[row + 1, column + 1, 0] = flows[0, row, column]
                field[row + 1, column + 1, 1] = flows[1, row, column]
    return field


@numba.njit(cache=True, nogil=True, error_model="numpy")
def walk_ends(field, pixels, steps):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Flat index of the pixel in which each walk of `steps` unit Euler steps ends, int32.

    `pixels` are flat indices of where walks start. Flows are interpolated linearly at the place
    where Cellpose samples them: row r of L is looked up at r * L / (L - 1) - 0.5. A walk that comes
    back to where it was, to the bit, goes round in circles; the rest of it is not walked but
    counted, so the end is that of the whole walk.

    References
    ----------
    R. P. Brent, An improved Monte Carlo factorization algorithm, BIT 20 (1980), for the circles.
    """
    if steps <= 0:
        return pixels.astype(np.int32)
    rows, columns = field.shape[0] - 2, field.shape[1] - 2
    last_row, last_column = np.float32(rows - 1), np.float32(columns - 1)
    row_scale = np.float32(rows / max(rows - 1, 1))
    column_scale = np.float32(columns / max(columns - 1, 1))
    half, zero, one = np.float32(0.5), np.float32(0), np.float32(1)
    ends = np.empty(pixels.size, np.int32)
    # Of each walk: where it is and its mark; which it is, steps done, step and next step of a mark.
    place = np.zeros((_LANES, 4), np.float32)
    state = np.zeros((_LANES, 4), np.int64)
    begun, live = 0, 0
    while live > 0 or begun < pixels.size:
        while live < _LANES and begun < pixels.size:
            place[live, 0] = place[live, 2] = np.float32(pixels[begun] // columns)
            place[live, 1] = place[live, 3] = np.float32(pixels[begun] % columns)
            state[live, 0], state[live, 1], state[live, 2], state[live, 3] = begun, 0, 0, 1
            begun += 1
            live += 1
        for lane in range(live):
            # The rim shifts indices by one, which makes the lookup's -0.5 a +0.5.
            y = place[lane, 0] * row_scale + half
            x = place[lane, 1] * column_scale + half
            top, left = np.int32(y), np.int32(x)
            down, right = y - np.float32(top), x - np.float32(left)
            up, back = one - down, one - right
            a, b = up * back, up * right
            c, d = down * back, down * right
            dy = (
                a * field[top, left, 0]
                + b * field[top, left + 1, 0]
                + c * field[top + 1, left, 0]
                + d * field[top + 1, left + 1, 0]
            )
            dx = (
                a * field[top, left, 1]
                + b * field[top, left + 1, 1]
                + c * field[top + 1, left, 1]
                + d * field[top + 1, left + 1, 1]
            )
            place[lane, 0] = min(max(place[lane, 0] + dy, zero), last_row)
            place[lane, 1] = min(max(place[lane, 1] + dx, zero), last_column)
        for lane in range(live - 1, -1, -1):
            done = state[lane, 1] + 1
            if place[lane, 0] == place[lane, 2] and place[lane, 1] == place[lane, 3]:
                done = steps - (steps - done) % (done - state[lane, 2])
                place[lane, 2] = -one
                state[lane, 3] = steps + 1
            elif done == state[lane, 3]:
                place[lane, 2], place[lane, 3] = place[lane, 0], place[lane, 1]
                state[lane, 2], state[lane, 3] = done, 2 * done
            state[lane, 1] = done
            if done == steps:
                end = np.int32(place[lane, 0]) * columns + np.int32(place[lane, 1])
                ends[state[lane, 0]] = end
                live -= 1
                place[lane], state[lane] = place[live], state[live]
    return ends
