"""The documentation says what the code says: generated pages, links, pictures and commands."""

from __future__ import annotations

import re

import pytest
from typer.main import get_command

from phenolake.cli import app
from phenolake.tables.reference_page import reference_page


def pages(repository):
    return [*sorted((repository / "docs").glob("*.md")), repository / "README.md"]


def test_table_reference_is_up_to_date(repository):
    written = (repository / "docs" / "tables.md").read_text(encoding="utf-8")
    assert written == reference_page(repository / "dbt" / "models" / "marts"), (
        "run `python -m phenolake.tables.reference_page docs/tables.md dbt/models/marts`"
    )


def test_links_between_pages_lead_somewhere(repository):
    for page in pages(repository):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize(
    "name",
    [
        "tutorial",
        "explorer",
        "dose-response",
        "cookbook",
        "instruments",
        "comparison",
        "operations",
        "profiles",
    ],
)
def test_commands_on_a_page_exist(repository, name):
    known = {c.name or c.callback.__name__ for c in app.registered_commands}
    text = (repository / "docs" / f"{name}.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`?phenolake ([a-z][a-z-]+)", text))
    assert named <= known


def test_commands_for_models_exist_with_their_options(repository):
    group = get_command(app).commands["models"]
    text = (repository / "docs" / "classifiers.md").read_text(encoding="utf-8")
    for name, rest in re.findall(r"^    phenolake models ([a-z]+)(.*)$", text, flags=re.MULTILINE):
        known = {option for parameter in group.commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, name
