"""Image quality of one site and channel: focus, saturation and background, and robust flags."""

from __future__ import annotations

import numpy as np
import polars as pl

from phenolake.images.sites import Site, read_site


def site_quality(site: Site) -> list[dict[str, object]]:
    """One row per channel with the measures of `image_quality`, flags left out.

    Raises
    ------
    ImageReadError
        If a plane can't be decoded.
    """
    image = read_site(site)
    return [
        {**site.keys, "channel": channel, **plane_quality(plane)}
        for channel, plane in zip(site.channels, image, strict=True)
    ]


def plane_quality(plane: np.ndarray) -> dict[str, float]:
    """Quality measures of one plane, float (y, x) scaled to 0..1.

    The focus score is the variance of the Laplacian over the squared mean; the slope is that of
    log power against log radial frequency (natural images in focus lie near -2, blur is steeper).

    References
    ----------
    Bray et al., J. Biomol. Screen. 17:266 (2012): power log-log slope for focus.
    """
    from scipy.ndimage import laplace

    mean = float(plane.mean(dtype=np.float64))
    background, median, high = (float(v) for v in np.percentile(plane, (5, 50, 99)))
    sharp = float(laplace(plane).var(dtype=np.float64))
    return {
        "focus_score": sharp / mean**2 if mean > 0 else float("nan"),
        "power_log_log_slope": power_log_log_slope(plane),
        "saturated_fraction": float((plane >= 1.0).mean()),
        "background": background,
        "median_intensity": median,
        "p99_intensity": high,
    }


def power_log_log_slope(plane: np.ndarray) -> float:
    """Slope of log power against log radial frequency; NaN for a constant or tiny image."""
    from scipy.fft import rfft2

    edge = min(plane.shape)
    if edge < 16:
        return float("nan")
    square = plane[:edge, :edge].astype(np.float32)
    power = np.abs(rfft2(square - square.mean())) ** 2
    rows = np.fft.fftfreq(edge) * edge
    columns = np.arange(power.shape[1])
    radius = np.hypot(rows[:, None], columns[None, :]).astype(np.int64).ravel()
    total = np.bincount(radius, power.ravel())
    count = np.bincount(radius)
    used = np.arange(2, edge // 2)
    mean = total[used] / count[used]
    if not (mean > 0).all():
        return float("nan")
    return float(np.polyfit(np.log(used), np.log(mean), 1)[0])


def flag_outliers(rows: pl.DataFrame, *, saturated_limit: float = 0.02) -> pl.DataFrame:
    """Add is_blurred, is_saturated and is_empty, judged per channel against the plate's medians.

    Blurred: the slope lies more than 5 robust SDs (1.4826 MAD, at least 0.1) below the channel's
    median over non-empty images. Empty: the 99th percentile is less than 1.2 times the background.
    """
    over = "channel"
    is_empty = pl.col("p99_intensity") <= 1.2 * pl.col("background") + 1e-6
    rows = rows.with_columns(is_empty=is_empty)
    slope = pl.when(~pl.col("is_empty")).then(pl.col("power_log_log_slope").fill_nan(None))
    center = slope.median().over(over)
    spread = ((slope - center).abs().median().over(over) * 1.4826).clip(lower_bound=0.1)
    return rows.with_columns(
        is_blurred=((slope - center) < -5 * spread).fill_null(False),
        is_saturated=pl.col("saturated_fraction") > saturated_limit,
    )
