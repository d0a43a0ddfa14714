"""What the command says before it knows anything: help, version, health, and what went wrong."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys

import pytest

import phenolake as package
from phenolake.cli import app
from plates import write_screen


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_come_from_a_fresh_process(option):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", "from phenolake.cli import main; main()", option]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    if option == "--version":
        assert done.stdout.strip() == f"phenolake {package.__version__}"
        return
    for name in ("demo", "inspect", "ingest", "ui", "sql", "simulate", "export", "doctor"):
        assert re.search(rf"^  {name} +[A-Z].*", done.stdout, re.MULTILINE), name


def test_help_loads_none_of_the_heavy_libraries():
    heavy = ("torch", "dagster", "mlflow", "polars", "skimage", "matplotlib", "deltalake", "duckdb")
    code = (
        "import sys\nsys.argv = ['phenolake', '--help']\nfrom phenolake.cli import main\n"
        f"try:\n    main()\nexcept SystemExit:\n    pass\nprint([m for m in {heavy} if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "command", sorted(c.name or c.callback.__name__ for c in app.registered_commands)
)
def test_every_command_explains_itself(phenolake, command):
    answer = phenolake(command, "--help")
    assert answer.status == 0
    assert len(answer.output.splitlines()) > 4


def test_doctor_lists_versions_and_the_lake(phenolake, home):
    answer = phenolake("doctor")
    assert answer.status in (0, 1)  # a machine may lack free space
    for name in ("python", "dagster", "deltalake", "duckdb", "GPU", "weights", "free space"):
        assert re.search(rf"^(ok|no ) +{name}", answer.output, re.MULTILINE), name
    assert f"{home / 'tables'} can be written" in answer.output


def test_doctor_says_how_to_mend_a_lake_that_is_a_file(phenolake, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PHENOLAKE_LAKE_URI", str(tmp_path / "file"))
    answer = phenolake("doctor")
    assert answer.status == 1
    assert "Set PHENOLAKE_HOME" in answer.output


def is_one_sentence(answer, *words):
    """The command failed with one line that has the words and no trace of our code."""
    assert answer.status == 1
    lines = answer.errors.strip().splitlines()
    assert len(lines) == 1, answer.errors
    assert lines[0].startswith("error: ")
    assert "Traceback" not in answer.errors
    assert all(word in lines[0] for word in words), lines[0]
    return True


def test_ingesting_a_missing_folder_is_one_sentence(phenolake, tmp_path):
    answer = phenolake("ingest", tmp_path / "nowhere")
    assert is_one_sentence(answer, str(tmp_path / "nowhere"))


def test_ingesting_an_empty_folder_is_one_sentence(phenolake, tmp_path):
    answer = phenolake("ingest", tmp_path)
    assert is_one_sentence(answer, str(tmp_path), "no images found", "phenolake inspect")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("preset: cell_paintin\n", "cell_painting"),
        ("colour: blue\n", "colour"),
        ("preset: [unclosed\n", "YAML"),
        ("just a sentence\n", "field: value"),
        ("wells: 100\n", "wells"),
        ("preset: nuclear_translocation\nnuclei_channel: DNX\n", "DNA"),
    ],
)
def test_a_screen_yaml_that_cannot_be_used_is_one_sentence(phenolake, tmp_path, text, word):
    folder = write_screen(tmp_path / "gfp", wells=("A01",))
    (folder / "screen.yaml").write_text(text)
    assert is_one_sentence(phenolake("ingest", folder), str(folder / "screen.yaml"), word)
    assert is_one_sentence(phenolake("inspect", folder), word)


def test_a_lake_that_is_a_file_is_one_sentence(phenolake, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PHENOLAKE_LAKE_URI", str(tmp_path / "file"))
    folder = write_screen(tmp_path / "gfp", wells=("A01",))
    assert is_one_sentence(phenolake("ingest", folder), "this is a file")


def test_a_table_that_was_never_made_is_one_sentence(phenolake, home, tmp_path):
    assert is_one_sentence(
        phenolake("export", "well_profiles", tmp_path / "x.parquet"), "does not exist"
    )
    misspelt = phenolake("sql", "select * from gold.well_profile")
    assert misspelt.status == 1
    assert misspelt.errors.startswith("error: SQL:")
    assert "well_profiles" in misspelt.errors
    assert is_one_sentence(phenolake("sql", "select 1", "--at", "well_profiles"), "TABLE=VERSION")


def test_export_says_what_is_wrong_with_its_arguments(phenolake, tmp_path):
    out = tmp_path / "x.parquet"
    assert is_one_sentence(phenolake("export", "well_profiles", out, "--plate", "P1"), "--screen")
    assert is_one_sentence(
        phenolake("export", "well_profiles", out / "y.parquet"), "does not exist"
    )


def test_a_plate_that_fails_is_named_with_its_reason(phenolake, tmp_path):
    folder = write_screen(tmp_path / "gfp", wells=("A01",), plate_map="well,compound\nA01,DMSO\n")
    (folder / "platemap.csv").write_text("place,compound\nA01,DMSO\n")
    answer = phenolake("ingest", folder, "--no-models")
    assert answer.status == 1
    assert "plate P1 failed" in answer.errors
    assert "no column names the well" in answer.errors
    assert "Traceback" not in answer.errors


def test_a_folder_that_could_not_be_ingested_leaves_its_name_free(phenolake, tmp_path):
    for place in ("one", "two"):
        (tmp_path / place / "same").mkdir(parents=True)
        answer = phenolake("ingest", tmp_path / place / "same")
        assert is_one_sentence(answer, str(tmp_path / place / "same"), "no images found")


def test_a_setting_that_cannot_be_is_one_sentence(phenolake, monkeypatch):
    monkeypatch.setenv("PHENOLAKE_QUIET_TIME_S", "soon")
    answer = phenolake("doctor")
    assert answer.status == 1
    assert "quiet_time_s" in answer.errors
    assert "'soon'" in answer.errors
    assert "Traceback" not in answer.errors


def test_an_export_of_an_unknown_table_offers_the_closest(phenolake, home, tmp_path):
    answer = phenolake("export", "wel_profiles", tmp_path / "x.parquet")
    assert answer.status == 1
    assert "well_profiles" in answer.errors


@pytest.mark.parametrize("command", ["explore", "ui", "metrics"])
def test_a_port_that_is_taken_is_one_sentence(phenolake, command):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        answer = phenolake(command, "--port", port)
    assert answer.status == 1
    assert answer.output == ""
    assert re.fullmatch(
        rf"error: 127.0.0.1 port {port}: .*; choose another with --port\n", answer.errors
    )


@pytest.mark.parametrize("command", ["explore", "ui", "metrics"])
def test_a_port_that_cannot_be_is_one_sentence(phenolake, command):
    answer = phenolake(command, "--port", 99999)
    assert answer.status == 2
    assert "'--port'" in answer.errors
    assert "65535" in answer.errors
