"""Dose-response curves: four-parameter fits with confidence intervals, and tests of activity."""

from __future__ import annotations

import importlib

_MODULE_OF = {
    "Curve": "fit",
    "CurveLimits": "limits",
    "curve_values": "hill",
    "fit_curve": "fit",
    "fit_curves": "tables",
}
__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> object:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_MODULE_OF]
