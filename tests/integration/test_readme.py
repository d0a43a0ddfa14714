"""The commands that README.md shows, run in their order by a new user in an empty folder.

A block that can't be run here has `<!-- test: skip REASON -->` on the line before it.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from terminal import call, user_at

README = Path(__file__).resolve().parents[2] / "README.md"
BLOCK = re.compile(
    r"(?:^<!-- test: skip (?P<reason>.+?) -->\n)?^```sh\n(?P<text>.*?)^```", re.M | re.S
)


@dataclass(frozen=True)
class Shown:
    """One `phenolake` command of the README, and why it is not run, if so."""

    line: str
    reason: str | None

    @property
    def arguments(self) -> list[str]:
        return shlex.split(self.line, comments=True)[1:]


def commands(text: str) -> list[Shown]:
    """`phenolake` commands of all shell blocks in order; a backslash joins lines."""
    return [
        Shown(line.strip(), block["reason"])
        for block in BLOCK.finditer(text)
        for line in block["text"].replace("\\\n", " ").splitlines()
        if line.strip().startswith("phenolake ")
    ]


def test_commands_are_found_with_their_reasons_to_be_skipped():
    text = (
        '```sh\nmake demo\nphenolake sql "select 1" # one\n```\n'
        "<!-- test: skip needs a browser -->\n```sh\nphenolake ui \\\n  --port 1\n```\n"
        "```python\nphenolake x\n```\n"
    )
    first, second = commands(text)
    assert (first.arguments, first.reason) == (["sql", "select 1"], None)
    assert (second.arguments, second.reason) == (["ui", "--port", "1"], "needs a browser")


@pytest.fixture(scope="module")
def new_user(tmp_path_factory):
    folder = tmp_path_factory.mktemp("new_user")
    with pytest.MonkeyPatch.context() as patch, user_at(folder / "lake"):
        patch.chdir(folder)
        yield folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "shown", [pytest.param(c, id=c.line[:60]) for c in commands(README.read_text())]
)
def test_a_command_of_the_readme_works(new_user, shown):
    if shown.reason:
        pytest.skip(shown.reason)
    answer = call(*shown.arguments)
    assert answer.status == 0, answer.errors
    assert answer.output or answer.errors
