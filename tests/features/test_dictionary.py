"""Every column that can be measured has its formula, unit and source."""

import numpy as np

from phenolake.features import (
    COLUMN_PRESETS,
    feature_dictionary,
    feature_names,
    is_position,
    measure_field,
)

CHANNELS = ["DNA", "Mito", "Alexa_488"]
MASKS = ["Nuclei", "Cells", "Cytoplasm"]


def test_every_feature_has_a_meaning_a_unit_and_a_source():
    names = feature_names(CHANNELS, MASKS, "full Dimensions")
    frame = feature_dictionary(names, CHANNELS)
    assert frame["feature"].to_list() == names
    assert frame["meaning"].null_count() == 0
    assert frame["unit"].null_count() == 0
    assert frame["source"].null_count() == 0
    assert frame["is_position"].to_list() == [is_position(name) for name in names]
    assert not frame["meaning"].str.contains(r"[{}]").any()


def test_a_row_says_what_the_column_is():
    (row,) = feature_dictionary(["Cells_SER_Spot_Mito_2"]).rows(named=True)
    assert row["compartment"] == "Cells"
    assert row["channels"] == "Mito"
    assert row["parameters"] == "2"
    assert "Mito" in row["meaning"]
    assert row["source"] == "Phenolake"
    (row,) = feature_dictionary(["Nuclei_AreaShape_Area"]).rows(named=True)
    assert row["unit"] == "px^2"
    assert row["source"] == "CellProfiler 4 MeasureObjectSizeShape"


def test_every_feature_of_a_whole_field_has_a_meaning():
    masks = {name: np.ones((16, 16), np.int32) for name in MASKS}
    names = measure_field(np.ones((3, 16, 16)), CHANNELS, masks).columns
    frame = feature_dictionary(names, CHANNELS)
    assert frame["meaning"].null_count() == 0
    (row,) = feature_dictionary(["Image_AreaOccupied_Perimeter_Nuclei"]).rows(named=True)
    assert (row["measure"], row["parameters"], row["channels"]) == ("Perimeter", "Nuclei", "")
    assert row["source"] == "CellProfiler 4 MeasureImageAreaOccupied"


def test_columns_of_other_programs_are_listed_without_a_meaning():
    frame = feature_dictionary(["Cells_Deep_0001", "Odd", "Nuclei_Texture_Gabor_DNA_3"])
    assert frame["meaning"].null_count() == 3
    assert frame["source"].null_count() == 3


def test_the_published_42_are_42_and_all_explained():
    _, columns = COLUMN_PRESETS["cytotoxicity_42"]
    assert len(set(columns)) == 42
    assert feature_dictionary(columns)["meaning"].null_count() == 0
    channels = ["Hoechst", "Alexa488", "TRITC", "Alexa647"]
    assert feature_names(channels, ["Nuclei", "Cells"], "cytotoxicity_42") == list(columns)


def test_a_cell_painting_set_passes_5000_features():
    channels = ["DNA", "ER", "RNA", "AGP", "Mito"]
    assert len(set(feature_names(channels, MASKS, "full"))) > 5000


def test_the_page_of_features_is_current(repository):
    from phenolake.features.dictionary_page import rewritten

    page = (repository / "docs" / "features.md").read_text(encoding="utf-8")
    assert page == rewritten(page), (
        "run python -m phenolake.features.dictionary_page docs/features.md"
    )
