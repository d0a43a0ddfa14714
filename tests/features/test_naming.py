"""Feature names are built and read without loss."""

import pytest

from phenolake.errors import ConfigurationError
from phenolake.features import FAMILIES, FeatureName, feature_names, is_position
from phenolake.features.families import COMPARISONS

CHANNELS = ["DNA", "Mito"]


@pytest.mark.parametrize("family", [*FAMILIES, *COMPARISONS])
def test_every_name_we_build_is_read_back(family):
    for name in feature_names(CHANNELS, ["Nuclei", "Cytoplasm"], [family]):
        parsed = FeatureName.parse(name)
        assert str(parsed) == name
        assert set(parsed.channels) <= set(CHANNELS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Cells_AreaShape_Area", FeatureName("Cells", "AreaShape", "Area")),
        ("Cells_AreaShape_Center_X", FeatureName("Cells", "AreaShape", "Center_X")),
        (
            "Nuclei_AreaShape_Zernike_9_1",
            FeatureName("Nuclei", "AreaShape", "Zernike", (), ("9", "1")),
        ),
        (
            "Nuclei_Texture_Contrast_DNA_3_00_256",
            FeatureName("Nuclei", "Texture", "Contrast", ("DNA",), ("3", "00", "256")),
        ),
        (
            "Cells_Intensity_MADIntensity_Alexa_488",
            FeatureName("Cells", "Intensity", "MADIntensity", ("Alexa_488",)),
        ),
        (
            "Cells_Location_MaxIntensity_X_ER",
            FeatureName("Cells", "Location", "MaxIntensity_X", ("ER",)),
        ),
        ("Cells_Location_Center_Y", FeatureName("Cells", "Location", "Center_Y")),
        (
            "Cells_Correlation_K_DNA_ER",
            FeatureName("Cells", "Correlation", "K", ("DNA", "ER")),
        ),
        (
            "Cells_RadialDistribution_FracAtD_ER_2of4",
            FeatureName("Cells", "RadialDistribution", "FracAtD", ("ER",), ("2of4",)),
        ),
        (
            "Cells_RadialDistribution_ZernikePhase_ER_9_9",
            FeatureName("Cells", "RadialDistribution", "ZernikePhase", ("ER",), ("9", "9")),
        ),
        ("Cells_Granularity_12_ER", FeatureName("Cells", "Granularity", "12", ("ER",))),
        (
            "Cells_Neighbors_NumberOfNeighbors_Adjacent",
            FeatureName("Cells", "Neighbors", "NumberOfNeighbors", (), ("Adjacent",)),
        ),
        (
            "Cells_AreaShape_NormalizedMoment_0_3",
            FeatureName("Cells", "AreaShape", "NormalizedMoment", (), ("0", "3")),
        ),
        ("Cells_AreaShape_AreaUm2", FeatureName("Cells", "AreaShape", "AreaUm2")),
        ("Cells_SER_Spot_ER_0", FeatureName("Cells", "SER", "Spot", ("ER",), ("0",))),
        (
            "Cells_Gabor_Energy_Alexa_488_4_045",
            FeatureName("Cells", "Gabor", "Energy", ("Alexa_488",), ("4", "045")),
        ),
        ("Nuclei_Children_Cells_Count", FeatureName("Nuclei", "Children", "Cells_Count")),
    ],
)
def test_parts_of_a_name(text, expected):
    assert FeatureName.parse(text) == expected
    assert str(expected) == text


def test_known_channels_decide_where_a_correlation_splits():
    name = "Cells_Correlation_RWC_Alexa_488_DNA"
    assert FeatureName.parse(name, ["DNA", "Alexa_488"]).channels == ("Alexa_488", "DNA")


@pytest.mark.parametrize("text", ["", "Cells", "Cells_Area", "_AreaShape_Area"])
def test_a_text_without_three_parts_is_no_name(text):
    with pytest.raises(ConfigurationError, match="no feature name"):
        FeatureName.parse(text)


def test_positions_are_told_from_features():
    names = feature_names(CHANNELS, ["Nuclei", "Cytoplasm"], "full")
    positions = [name for name in names if is_position(name)]
    for family in ("Texture", "Intensity", "Correlation", "Neighbors", "Granularity"):
        assert not any(f"_{family}_" in name for name in positions)
    assert {name for name in names if "_Location_" in name} <= set(positions)
    assert is_position("Cells_AreaShape_Center_X")
    assert is_position("Cells_AreaShape_BoundingBoxMinimum_Y")
    assert is_position("Cells_Parent_Nuclei")
    assert not is_position("Nuclei_Children_Cells_Count")
    assert not is_position("Cells_AreaShape_SpatialMoment_1_0")
    assert not is_position("Cells_AreaShape_BoundingBoxArea")
    assert not is_position("Metadata_Location")
