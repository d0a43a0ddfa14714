"""Which plane of an image shows nuclei and which shows cell bodies, checked and made float."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phenolake.errors import ChannelError, UnknownNameError
from phenolake.segmentation.foreground import Plane, background_level

#: Roles looked for, best first, compared without case, when the caller names no channel.
NUCLEI_ROLES = ("DNA", "Hoechst", "DAPI", "DRAQ5", "Nuclei")
CELL_ROLES = (
    "RNA",
    "Actin",
    "AGP",
    "TRITC",
    "Phalloidin",
    "GFP",
    "FITC",
    "Alexa488",
    "Tubulin",
    "ER",
)

#: Above this, sums and squares of a plane would leave float32.
_LARGEST = 1e15

#: Asks for the first role of `CELL_ROLES` that the image has.
AUTO = "auto"


@dataclass(frozen=True)
class Channels:
    """The planes that segmentation looks at, float32 (y, x), finite."""

    nuclei: Plane
    cells: Plane | None


def choose_channels(
    image: ArrayLike,
    roles: Mapping[str, int],
    nuclei_channel: str | None = None,
    cell_channel: str | None = AUTO,
) -> Channels:
    """Pick the planes of nuclei and cell bodies.

    Raises
    ------
    ChannelError
        If the image is not (channel, y, x), is empty or not numeric, or a role has no plane.
    UnknownNameError
        If a named channel is not among the roles.
    """
    stack = np.asarray(image)
    if stack.ndim != 3 or 0 in stack.shape:
        raise ChannelError(
            f"expected an image (channel, y, x) with pixels, got shape {stack.shape}"
        )
    if stack.dtype.kind not in "uifb":
        raise ChannelError(f"expected numbers as pixels, got dtype {stack.dtype}")
    if not roles:
        raise ChannelError("no channel roles given; expected for example {'DNA': 0}")
    nuclei = nuclei_channel or first_role(roles, NUCLEI_ROLES) or next(iter(roles))
    cells = cell_channel
    if cell_channel == AUTO and AUTO not in roles:
        cells = first_role(roles, CELL_ROLES)
    return Channels(
        _plane(stack, roles, nuclei), None if cells is None else _plane(stack, roles, cells)
    )


def first_role(roles: Mapping[str, int], wanted: tuple[str, ...]) -> str | None:
    """The first wanted role that is there, compared without case; None if there is none."""
    there = {role.lower(): role for role in reversed(list(roles))}
    return next((there[name.lower()] for name in wanted if name.lower() in there), None)


def _in_range(plane: NDArray) -> NDArray:
    """The plane, in another unit where its values would overflow float32 sums; units don't matter."""
    if plane.dtype.kind != "f" or plane.dtype.itemsize < 4:
        return plane
    top = float(np.abs(plane[np.isfinite(plane)]).max(initial=0.0))
    return plane / top if top > _LARGEST else plane


def _plane(stack: NDArray, roles: Mapping[str, int], role: str) -> Plane:
    if role not in roles:
        raise UnknownNameError("channel role", role, roles)
    index = roles[role]
    if not 0 <= index < stack.shape[0]:
        raise ChannelError(
            f"role {role!r} is channel {index}, but the image has {stack.shape[0]} channel(s), "
            f"0 to {stack.shape[0] - 1}"
        )
    plane = _in_range(stack[index]).astype(np.float32)
    finite = np.isfinite(plane)
    if finite.all():
        return plane
    # Missing pixels are background: they take its most frequent value, not zero, which would
    # make the real background around them look bright.
    fill = background_level(plane[finite])[0] if finite.any() else 0.0
    return np.where(finite, plane, np.float32(fill))
