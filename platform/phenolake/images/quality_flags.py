"""Which images of a plate are bad, by limits of the screen and by robust statistics of the plate."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

Reason = Literal["blurred", "saturated", "empty", "debris", "background", "duplicate"]

#: Flag of `image_quality` -> reason, in the order in which reasons are written.
FLAGS: dict[str, Reason] = {
    "is_blurred": "blurred",
    "is_saturated": "saturated",
    "is_empty": "empty",
    "is_debris": "debris",
    "is_background_outlier": "background",
    "is_duplicate": "duplicate",
}
_PLATE = "channel"
#: (p99 - median) / (median - p5) is 1.41 for Gaussian noise; a few bright cells make it large.
_NOISE_SKEW = 2.0


class QualityLimits(BaseModel):
    """Limits of image quality: `quality` in screen.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    robust_sd: float = Field(
        5.0,
        gt=0,
        description="robust SDs (1.4826 MAD) from the plate's median that make an outlier",
    )
    max_blur_px: float | None = Field(
        None, gt=0, description="blur above which an image is blurred whatever the plate; px"
    )
    saturated_fraction: float = Field(
        0.02, ge=0, le=1, description="largest share of saturated pixels"
    )
    debris_fraction: float = Field(
        5e-5,
        ge=0,
        le=1,
        description="largest share of the field in debris; the default is a speck of 13 pixels in "
        "512 x 512",
    )
    empty_ratio: float = Field(
        1.2,
        ge=1,
        description="empty: 99th percentile at most so many times the background; an image without "
        "edges whose pixels spread like noise is empty, too",
    )
    exclude: tuple[Reason, ...] = Field(
        # Debris is flagged only: most pieces touch a few cells of a field.
        ("blurred", "duplicate"),
        description="reasons for which a site is not measured; its other rows stay",
    )
    channels: tuple[str, ...] = Field(
        (), description="channels whose images decide; default: the one that shows nuclei"
    )
    max_blurred_share: float = Field(
        0.1, ge=0, le=1, description="share of blurred sites above which the check of a plate fails"
    )
    max_unusable_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="share of unusable sites above which the check of a plate fails",
    )
    max_debris_share: float = Field(
        0.2, ge=0, le=1, description="share of sites with debris above which the check fails"
    )
    max_dust_fraction: float = Field(
        0.002,
        ge=0,
        le=1,
        description="share of the field behind dust in the light path above which the check fails",
    )


def flag_outliers(
    rows: pl.DataFrame, *, saturated_limit: float | None = None, limits: QualityLimits | None = None
) -> pl.DataFrame:
    """Add the flags, `reason` and `is_usable`, judged per channel against the plate's medians.

    Blurred: the slope lies over `robust_sd` robust SDs (at least 0.1 each) below the median of the
    channel's images with signal, and the edges are over `robust_sd` robust SDs (at least a tenth
    of the median) and half the median wider; or the blur is over `max_blur_px`. Background: as far
    from the median of the logarithm, in SDs of at least 0.1. Duplicate: the same pixels as an
    image before it, empty ones left aside. Empty: as `empty_ratio` says, or noise: no edges, and
    pixels no more skewed than Gaussian noise. Debris: over the limit, and further above the channel's
    median than the limit and `robust_sd` SDs. `is_usable` is false for a reason in `exclude`.
    """
    limits = limits or QualityLimits()
    saturated = limits.saturated_fraction if saturated_limit is None else saturated_limit
    for name, dtype in (
        ("blur_px", pl.Float64),
        ("debris_fraction", pl.Float64),
        ("fingerprint", pl.String),
        ("median_intensity", pl.Float64),
    ):
        if name not in rows.columns:
            rows = rows.with_columns(pl.lit(None, dtype).alias(name))
    dark = pl.col("p99_intensity") <= limits.empty_ratio * pl.col("background") + 1e-6
    above = pl.col("p99_intensity") - pl.col("median_intensity")
    below = pl.col("median_intensity") - pl.col("background")
    noise = pl.col("blur_px").is_nan() & (above <= _NOISE_SKEW * below)
    rows = rows.with_columns(is_empty=dark.fill_null(False) | noise.fill_null(False))
    slope, edges = _with_signal("power_log_log_slope"), _with_signal("blur_px")
    background = pl.col("background").clip(lower_bound=1e-6).log()
    debris = pl.col("debris_fraction").fill_nan(None)
    steeper = _deviation(slope, 0.1) < -limits.robust_sd
    wider = (_deviation(edges, 0.1 * _median(edges)) > limits.robust_sd) & (
        edges > 1.5 * _median(edges)
    )
    too_wide = edges > limits.max_blur_px if limits.max_blur_px is not None else pl.lit(False)
    twin = pl.struct("channel", "fingerprint").is_first_distinct().not_()
    rows = rows.with_columns(
        # Without a blur estimate (a tiny or edgeless image) the slope decides alone.
        is_blurred=((steeper & wider.fill_null(True)) | too_wide.fill_null(False)).fill_null(False),
        is_saturated=(pl.col("saturated_fraction") > saturated).fill_null(False),
        is_debris=(
            (debris > limits.debris_fraction)
            & (debris - _median(debris) > limits.debris_fraction)
            # On a clean plate the spread is 0, and the limit alone decides.
            & (_deviation(debris, 1e-9) > limits.robust_sd)
        ).fill_null(False),
        is_background_outlier=(_deviation(background, 0.1).abs() > limits.robust_sd).fill_null(
            False
        ),
        is_duplicate=(twin & pl.col("fingerprint").is_not_null() & ~pl.col("is_empty")),
    )
    reasons = [pl.when(flag).then(pl.lit(reason)) for flag, reason in FLAGS.items()]
    decisive = [pl.col(flag) for flag, reason in FLAGS.items() if reason in limits.exclude]
    counts = pl.col("channel").is_in(limits.channels) if limits.channels else pl.lit(True)
    excluded = (pl.any_horizontal(decisive) if decisive else pl.lit(False)) & counts
    reason = pl.concat_str(reasons, separator=", ", ignore_nulls=True)
    return rows.with_columns(
        reason=pl.when(reason != "").then(reason),
        is_usable=~excluded,
    )


def unusable_sites(flagged: pl.DataFrame) -> pl.DataFrame:
    """Well, site and reasons of sites with an image that is not usable, one row per site."""
    keys = ["Metadata_Well", "Metadata_Site"]
    schema = {"Metadata_Well": pl.String, "Metadata_Site": pl.Int32, "reason": pl.String}
    if "is_usable" not in flagged.columns:
        return pl.DataFrame(schema=schema)
    bad = flagged.filter(~pl.col("is_usable").fill_null(True))
    each = pl.format("{}: {}", "channel", "reason")
    return bad.sort(*keys, "channel").group_by(keys, maintain_order=True).agg(each.str.join("; "))


def _with_signal(name: str) -> pl.Expr:
    return pl.when(~pl.col("is_empty")).then(pl.col(name).fill_nan(None))


def _median(value: pl.Expr) -> pl.Expr:
    return value.median().over(_PLATE)


def _deviation(value: pl.Expr, least: float | pl.Expr) -> pl.Expr:
    """Distance from the channel's median in robust SDs, each at least `least`."""
    center = _median(value)
    spread = 1.4826 * _median((value - center).abs())
    floor = pl.lit(least) if isinstance(least, float) else least
    return (value - center) / pl.max_horizontal(spread, floor)
