from __future__ import annotations

from pathlib import Path

import pytest

from phenolake.errors import ConfigurationError, EmptyFolderError, ScreenConfigError
from phenolake.screens.config import ScreenConfig, load_screen_config
from phenolake.screens.discover import COMPLETE_MARK, Screen
from phenolake.screens.registry import ScreenRegistry
from plates import write_screen, write_site


def test_a_missing_file_gives_the_defaults_under_the_folders_name(tmp_path: Path) -> None:
    config = load_screen_config(tmp_path / "screen.yaml", "mine")
    assert (config.name, config.preset, config.nuclei_role) == ("mine", "cell_painting", "DNA")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("preset: cell_paint", ["preset", "cell_painting"]),
        ("chanels: {}", ["chanels"]),
        ("nuclei_channel: DAPI", ["nuclei_channel", "DAPI", "DNA"]),
        ("wells: 97", ["wells"]),
        ("- a list", ["top level"]),
        ("wells: 96\n3: x", ["top level"]),
        ("name: [", ["YAML"]),
        ("name: a/b", ["screen name"]),
        ("pixel_size_um: -1", ["pixel_size_um"]),
    ],
)
def test_a_mistake_is_answered_with_file_and_field(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    path = tmp_path / "screen.yaml"
    path.write_text(text)
    with pytest.raises(ScreenConfigError) as caught:
        load_screen_config(path, "mine")
    assert str(path) in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_each_folder_with_images_is_a_plate_and_truth_is_not(tmp_path: Path) -> None:
    folder = write_screen(tmp_path / "s", ("P2", "P1"))
    write_site(folder / "_truth", "A01")
    (folder / "notes").mkdir()
    assert [plate.key.plate for plate in Screen.open(folder).plates()] == ["P1", "P2"]


def test_a_flat_folder_is_one_plate_named_as_the_screen(tmp_path: Path) -> None:
    write_site(tmp_path / "flat", "A01")
    assert [str(p.key) for p in Screen.open(tmp_path / "flat").plates()] == ["flat__flat"]


def test_images_outside_the_screens_folder_are_refused(tmp_path: Path) -> None:
    folder = write_screen(tmp_path / "s", images="../elsewhere")
    with pytest.raises(ConfigurationError, match="leaves the screen"):
        Screen.open(folder).plates()


def test_a_plate_is_complete_when_marked_or_quiet(tmp_path: Path) -> None:
    plate = Screen.open(write_screen(tmp_path / "s")).plates()[0]
    assert not plate.is_complete(quiet_time_s=3600)
    assert plate.is_complete(quiet_time_s=0)
    (plate.folder / COMPLETE_MARK).touch()
    assert plate.is_complete(quiet_time_s=3600)


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(EmptyFolderError, match="nowhere"):
        Screen.open(tmp_path / "nowhere")


def test_a_screen_name_belongs_to_one_folder(tmp_path: Path) -> None:
    registry = ScreenRegistry(tmp_path / "registry", tmp_path / "inbox")
    first = write_screen(tmp_path / "a" / "s")
    registry.register(first)
    registry.register(first)
    with pytest.raises(ConfigurationError, match="taken by"):
        registry.register(write_screen(tmp_path / "b" / "s"))
    registry.register(tmp_path / "b" / "s", name="other")
    assert [s.config.name for s in registry.screens()[0]] == ["other", "s"]


def test_one_bad_screen_in_the_inbox_does_not_hide_the_others(tmp_path: Path) -> None:
    write_screen(tmp_path / "inbox" / "good")
    write_screen(tmp_path / "inbox" / "bad", preset="nonsense")
    screens, errors = ScreenRegistry(tmp_path / "registry", tmp_path / "inbox").screens()
    assert [screen.config.name for screen in screens] == ["good"]
    assert "nonsense" in str(errors[0])


def test_the_cytotoxicity_preset_measures_the_published_properties():
    screen = ScreenConfig(name="s", preset="four_channel_cytotoxicity")
    assert screen.feature_set == "cytotoxicity_42"
    assert screen.model_copy(update={"features": "standard SER"}).feature_set == "standard SER"
    assert ScreenConfig(name="s", preset="cell_painting").feature_set == "standard"


def test_a_preset_with_other_channels_measures_the_standard_features():
    channels = {"w1": "Hoechst", "w2": "Actin"}
    screen = ScreenConfig(name="s", preset="four_channel_cytotoxicity", channels=channels)
    assert screen.feature_set == "standard"
