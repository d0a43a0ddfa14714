"""The documentation says what the code says: generated pages, links, pictures and commands."""

from __future__ import annotations

import re

import pytest
import yaml
from pydantic import ValidationError
from typer.main import get_command

from phenolake.cli import app
from phenolake.lake import Lake
from phenolake.screens.config import ScreenConfig
from phenolake.screens.settings_page import settings_page
from phenolake.tables.reference_page import reference_page


def pages(repository):
    folder = repository / "docs"
    return [
        *sorted(folder.glob("*.md")),
        *sorted(folder.glob("api/*.md")),
        repository / "README.md",
    ]


def test_table_reference_is_up_to_date(repository):
    written = (repository / "docs" / "tables.md").read_text(encoding="utf-8")
    assert written == reference_page(repository / "dbt" / "models" / "marts"), (
        "run `python -m phenolake.tables.reference_page docs/tables.md dbt/models/marts`"
    )


def test_settings_reference_is_up_to_date(repository):
    written = (repository / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == settings_page(), (
        "run `python -m phenolake.screens.settings_page docs/settings.md`"
    )


def test_every_description_of_a_screen_is_accepted(repository):
    blocks = [
        (page.name, yaml.safe_load(block))
        for page in pages(repository)
        for block in re.findall(
            r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S
        )
    ]
    assert len(blocks) >= 8
    for name, values in blocks:
        try:
            ScreenConfig(**{"name": "screen", **values})
        except ValidationError as error:
            pytest.fail(f"{name}: {values}: {error}")


def test_queries_about_the_concepts_are_answered(repository, tmp_path):
    text = (repository / "docs" / "concepts.md").read_text(encoding="utf-8")
    queries = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    assert len(queries) == 2
    for query in queries:
        assert Lake(str(tmp_path)).sql(query).columns


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
        "concepts",
        "exports",
        "your-screen",
    ],
)
def test_commands_on_a_page_exist(repository, name):
    known = set(get_command(app).commands)
    text = (repository / "docs" / f"{name}.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`?phenolake ([a-z][a-z-]+)", text))
    assert named <= known


def test_commands_for_models_exist_with_their_options(repository):
    group = get_command(app).commands["models"]
    text = (repository / "docs" / "classifiers.md").read_text(encoding="utf-8")
    for name, rest in re.findall(r"^    phenolake models ([a-z]+)(.*)$", text, flags=re.MULTILINE):
        known = {option for parameter in group.commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, name
