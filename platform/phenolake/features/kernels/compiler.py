"""How every kernel is compiled: once per machine, kept on disk, free of the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """The function, compiled at its first call.

    Divisions by zero give inf or NaN as in numpy. No fast-math: sums run in the order written, so
    that results do not depend on the machine.
    """
    compiled: Function = numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    return compiled
