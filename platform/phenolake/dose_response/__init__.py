"""Dose-response curves: four-parameter fits with confidence intervals, and tests of activity."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "fit": ["Curve", "fit_curve"],
        "hill": ["curve_values"],
        "limits": ["CurveLimits"],
        "tables": ["fit_curves"],
    },
)
