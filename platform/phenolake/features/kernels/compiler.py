"""How every kernel is compiled: once per machine, kept on disk, free of the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """The function, compiled at its first call.

    Divisions by zero give inf or NaN as in numpy. No fast-math: sums run in the order written.
    """
    compiled: Function = numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    return compiled


def summing_kernel(function: Function) -> Function:
    """The function, compiled so that its sums may run as several partial sums side by side.

    That lets the loop use vector registers. What a sum is does not depend on threads or on other
    objects; its last digits may depend on how wide the processor's registers are.
    """
    compiled: Function = numba.njit(
        cache=True, error_model="numpy", nogil=True, fastmath={"reassoc", "nsz"}
    )(function)
    return compiled
