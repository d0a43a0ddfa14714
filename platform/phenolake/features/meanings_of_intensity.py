"""What the columns with a channel mean: formula in words and unit, by family and measure."""

from __future__ import annotations

_HARALICK = {
    "AngularSecondMoment": "sum of the squared shares of pairs",
    "Contrast": "mean squared difference of the two levels of a pair",
    "Correlation": "correlation of the two levels of a pair",
    "Variance": "variance of the levels in pairs",
    "InverseDifferenceMoment": "mean of 1 / (1 + squared difference of levels)",
    "SumAverage": "mean of the sum of the two levels",
    "SumVariance": "variance of the sum of the two levels",
    "SumEntropy": "entropy of the sum of the two levels, bits",
    "Entropy": "entropy of the pairs, bits",
    "DifferenceVariance": "variance of the histogram of differences of levels",
    "DifferenceEntropy": "entropy of the differences of levels, bits",
    "InfoMeas1": "minus the mutual information of the two levels over their entropy",
    "InfoMeas2": "sqrt(1 - exp(-2 mutual information of the two levels))",
}
_PAIRS = "of grey levels (256) of {c}, pixels {p[0]} px apart in direction {p[1]}: "
_SER = {
    "Spot": "mean curvature of {c} that is down in both directions (bright spots)",
    "Hole": "mean curvature of {c} that is up in both directions (dark spots)",
    "Ridge": "mean of what {c} bends down in one direction more than in the other (bright lines)",
    "Valley": "mean of what {c} bends up in one direction more than in the other (dark lines)",
    "Saddle": "mean of the smaller of two opposite curvatures of {c}",
    "Edge": "mean size of the gradient of {c}",
    "Bright": "Spot plus Ridge of {c}",
    "Dark": "Hole plus Valley of {c}",
}
_SER_TAIL = ", smoothed by {p[0]} px, over the local mean"
_ABOVE = "over the pixels where both reach 15 per cent of their largest value"
_RELATIVE = "image units"

#: (family, measure) -> formula in words, unit. `{c}`, `{d}` are the channels, `{p[0]}` parameters.
INTENSITY: dict[tuple[str, str], tuple[str, str]] = {
    ("Intensity", measure): entry
    for measure, entry in {
        "IntegratedIntensity": ("sum of {c}", _RELATIVE),
        "TotalIntensity": ("sum of {c}", _RELATIVE),
        "PercentMaximal": ("share of pixels at the largest {c}", "per cent"),
        "MeanIntensity": ("mean of {c}", _RELATIVE),
        "StdIntensity": ("standard deviation (over n) of {c}", _RELATIVE),
        "MinIntensity": ("smallest {c}", _RELATIVE),
        "MaxIntensity": ("largest {c}", _RELATIVE),
        "IntegratedIntensityEdge": ("sum of {c} over pixels with a side to the outside", _RELATIVE),
        "MeanIntensityEdge": ("mean of {c} over pixels with a side to the outside", _RELATIVE),
        "StdIntensityEdge": (
            "standard deviation of {c} over pixels with a side to the outside",
            _RELATIVE,
        ),
        "MinIntensityEdge": ("smallest {c} of pixels with a side to the outside", _RELATIVE),
        "MaxIntensityEdge": ("largest {c} of pixels with a side to the outside", _RELATIVE),
        "LowerQuartileIntensity": ("value of {c} at place n/4 of the sorted pixels", _RELATIVE),
        "MedianIntensity": ("value of {c} at place n/2 of the sorted pixels", _RELATIVE),
        "UpperQuartileIntensity": ("value of {c} at place 3n/4 of the sorted pixels", _RELATIVE),
        "MADIntensity": ("median distance of {c} to its median, not scaled", _RELATIVE),
        "MassDisplacement": ("distance of the centre of mass of {c} to the centroid", "px"),
        "Contrast": ("(largest - smallest) / (largest + smallest) of {c}", ""),
        "CV": ("standard deviation over mean of {c}", "per cent"),
    }.items()
} | {
    ("Location", "CenterMassIntensity_X"): ("mean column, weighted by {c}", "px"),
    ("Location", "CenterMassIntensity_Y"): ("mean row, weighted by {c}", "px"),
    ("Location", "CenterMassIntensity_Z"): ("mean plane, weighted by {c}", "px"),
    ("Location", "MaxIntensity_X"): ("column of the brightest pixel of {c}", "px"),
    ("Location", "MaxIntensity_Y"): ("row of the brightest pixel of {c}", "px"),
    ("Location", "MaxIntensity_Z"): ("plane of the brightest pixel of {c}", "px"),
    **{("Texture", name): (_PAIRS + text, "") for name, text in _HARALICK.items()},
    **{("SER", name): (text + _SER_TAIL, "") for name, text in _SER.items()},
    ("Gabor", "Energy"): (
        "mean size of the response of {c} to waves {p[0]} px long that run at {p[1]} degrees to the "
        "x axis, over the local mean",
        "",
    ),
    ("Correlation", "Correlation"): ("Pearson's correlation of {c} and {d}", ""),
    ("Correlation", "Slope"): ("least-squares slope of {d} on {c}", ""),
    ("Correlation", "Overlap"): (
        f"sum of {{c}} {{d}} over sqrt(sum of {{c}}^2 times sum of {{d}}^2), {_ABOVE}",
        "",
    ),
    ("Correlation", "K"): (f"sum of {{c}} {{d}} over sum of {{c}}^2, {_ABOVE}", ""),
    ("Correlation", "Manders"): (
        f"share of {{c}} that lies in pixels where {{d}} is above its threshold, {_ABOVE}",
        "",
    ),
    ("Correlation", "RWC"): (
        f"share of {{c}} as Manders, each pixel weighted by how near its ranks are, {_ABOVE}",
        "",
    ),
    ("Correlation", "Costes"): (
        "share of {c} that lies in pixels where {d} is above Costes' automatic threshold",
        "",
    ),
    ("RadialDistribution", "FracAtD"): ("share of {c} in ring {p[0]} from the centre", ""),
    ("RadialDistribution", "MeanFrac"): (
        "share of {c} in ring {p[0]} from the centre over the ring's share of pixels",
        "",
    ),
    ("RadialDistribution", "RadialCV"): (
        "standard deviation over mean of {c} in the eight wedges of ring {p[0]}",
        "",
    ),
    ("RadialDistribution", "ZernikeMagnitude"): (
        "size of the Zernike moment of {c} of degree {p[0]} and order {p[1]}, over the area",
        _RELATIVE,
    ),
    ("RadialDistribution", "ZernikePhase"): (
        "angle of the Zernike moment of {c} of degree {p[0]} and order {p[1]}",
        "radians",
    ),
    ("Granularity", ""): (
        "share of {c} that is lost when spots of size {m} are removed, background subtracted",
        "per cent",
    ),
    ("ObjectSkeleton", "NumberBranchEnds"): ("ends of the thinned threads of {c}", ""),
    ("ObjectSkeleton", "NumberBranchPoints"): (
        "skeleton pixels of {c} where three or more branches meet",
        "",
    ),
    ("ObjectSkeleton", "TotalObjectSkeletonLength"): ("length of the thinned threads of {c}", "px"),
    ("Translocation", "NucleiCytoplasmRatio"): (
        "mean of {c} in the nucleus over that in the cytoplasm",
        "",
    ),
    ("Translocation", "CoreRingRatio"): (
        "the same, of the nucleus' core and a ring of cytoplasm, both off the nucleus' outline",
        "",
    ),
}
