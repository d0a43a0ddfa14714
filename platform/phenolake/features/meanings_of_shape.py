"""What the columns without a channel mean: formula in words and unit, by family and measure."""

from __future__ import annotations

#: (family, measure) -> formula in words, unit. `{p[0]}` is the first parameter of the name.
SHAPE: dict[tuple[str, str], tuple[str, str]] = {
    ("AreaShape", measure): entry
    for measure, entry in {
        "Area": ("number of pixels", "px^2"),
        "BoundingBoxArea": ("height times width of the bounding box", "px^2"),
        "BoundingBoxMaximum_X": ("one past the last column of the bounding box", "px"),
        "BoundingBoxMaximum_Y": ("one past the last row of the bounding box", "px"),
        "BoundingBoxMinimum_X": ("first column of the bounding box", "px"),
        "BoundingBoxMinimum_Y": ("first row of the bounding box", "px"),
        "BoundingBoxMaximum_Z": ("one past the last plane of the bounding box", "px"),
        "BoundingBoxMinimum_Z": ("first plane of the bounding box", "px"),
        "BoundingBoxVolume": ("depth times height times width of the bounding box", "px^3"),
        "Center_X": ("mean column of the pixels", "px"),
        "Center_Y": ("mean row of the pixels", "px"),
        "Center_Z": ("mean plane of the pixels", "px"),
        "Compactness": ("perimeter squared over 4 pi area; 1 for a disk", ""),
        "ConvexArea": ("pixels inside the convex hull of the pixel squares", "px^2"),
        "Eccentricity": (
            "sqrt(1 - (minor axis / major axis)^2) of the ellipse with the same second moments",
            "",
        ),
        "EquivalentDiameter": ("diameter of the disk (ball in 3D) of the same size", "px"),
        "EulerNumber": ("parts minus holes (plus cavities in 3D), parts joined at corners", ""),
        "Extent": ("area (volume) over that of the bounding box", ""),
        "FormFactor": ("4 pi area over perimeter squared; 1 for a disk", ""),
        "MajorAxisLength": ("4 sqrt of the larger eigenvalue of the second moments", "px"),
        "MinorAxisLength": ("4 sqrt of the smaller eigenvalue of the second moments", "px"),
        "MaxFeretDiameter": ("largest distance of parallel lines around the pixel centres", "px"),
        "MinFeretDiameter": ("smallest distance of parallel lines around the pixel centres", "px"),
        "MaximumRadius": ("largest distance of a pixel to the nearest one outside", "px"),
        "MeanRadius": ("mean distance of the pixels to the nearest one outside", "px"),
        "MedianRadius": ("median distance of the pixels to the nearest one outside", "px"),
        "Orientation": ("angle of the major axis to the rows' axis, -90 to 90", "degrees"),
        "Perimeter": ("length of the outline by the weights of Benkrid and Crookes", "px"),
        "Solidity": ("area over convex area", ""),
        "SurfaceArea": ("area of the surface at half height, by marching cubes", "px^2"),
        "Volume": ("number of voxels", "px^3"),
        "SpatialMoment": (
            "sum of row^{p[0]} column^{p[1]} from the corner of the bounding box",
            "px^(p+q+2)",
        ),
        "CentralMoment": ("sum of row^{p[0]} column^{p[1]} from the centroid", "px^(p+q+2)"),
        "NormalizedMoment": ("central moment {p[0]}, {p[1]} over area^(({p[0]}+{p[1]})/2 + 1)", ""),
        "HuMoment": (
            "Hu's moment number {p[0]} (from 0): the same after turns, shifts, scaling",
            "",
        ),
        "InertiaTensor": ("entry {p[0]}, {p[1]} of the inertia tensor over the area", "px^2"),
        "InertiaTensorEigenvalues": ("eigenvalue {p[0]} of the inertia tensor, largest 0", "px^2"),
        "Zernike": (
            "size of the shape's Zernike moment of degree {p[0]} and order {p[1]} in the smallest "
            "enclosing circle, over the circle's area",
            "",
        ),
        "WidthToLengthRatio": ("smallest over largest Feret diameter", ""),
        "LengthUm": ("largest Feret diameter times the pixel size", "um"),
        "WidthUm": ("smallest Feret diameter times the pixel size", "um"),
        "AreaUm2": ("number of pixels times the pixel size squared", "um^2"),
        "Roundness": ("4 pi area over perimeter squared; 1 for a disk", ""),
    }.items()
} | {
    ("Neighbors", "NumberOfNeighbors"): (
        "objects of the mask with a pixel within the distance ({p[0]}) of one of this object's",
        "objects",
    ),
    ("Neighbors", "PercentTouching"): (
        "outline pixels with another object within the distance ({p[0]})",
        "per cent",
    ),
    ("Neighbors", "FirstClosestDistance"): ("distance to the closest other centroid", "px"),
    ("Neighbors", "SecondClosestDistance"): ("distance to the second closest centroid", "px"),
    ("Neighbors", "AngleBetweenNeighbors"): (
        "angle at the object between its two closest centroids",
        "degrees",
    ),
    ("Neighbors", "LocalDensity"): (
        "other centroids within {p[0]} px, per 10,000 px^2 of that disk inside the image",
        "per 10,000 px^2",
    ),
    ("Neighbors", "MeanDistanceToNearest"): (
        "mean distance to the {p[0]} closest other centroids",
        "px",
    ),
    ("Location", "Center_X"): ("mean column of the pixels", "px"),
    ("Location", "Center_Y"): ("mean row of the pixels", "px"),
    ("Location", "Center_Z"): ("mean plane of the pixels", "px"),
    ("Count", "Objects"): ("objects of this mask in the field", "objects"),
    ("Count", ""): ("objects of the mask {m} in the field", "objects"),
    ("AreaOccupied", "AreaOccupied"): ("pixels of all objects of the mask {p[0]}", "px^2"),
    ("AreaOccupied", "Perimeter"): ("perimeters of all objects of the mask {p[0]}", "px"),
    ("AreaOccupied", "TotalArea"): ("pixels of the field that {p[0]} were found in", "px^2"),
    ("Children", ""): ("objects of the other mask that belong to this one", "objects"),
    ("Parent", ""): ("number of the object of the other mask that this one belongs to", ""),
    ("Number", ""): ("number of the object in its mask", ""),
}
