"""`docs/settings.md`: fields of `screen.yaml` and `PHENOLAKE_...` variables, from their declarations.

Run `python -m phenolake.screens.settings_page docs/settings.md` after changing one.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from phenolake.screens.config import ScreenConfig
from phenolake.settings import Settings
from phenolake.tables.reference_page import cell

_HEADER = """\
# Settings

Written by `python -m phenolake.screens.settings_page docs/settings.md` from the declarations. A field
that is not listed is refused.

## screen.yaml

Everything has a default. [Describe a screen](your-screen.md) says when to set what.
"""
_INSTALLATION = """\
## This installation

Variables of the environment, or fields of `phenolake.toml` in the folder where the command is run, without the
prefix and in lower case. The environment wins.
"""


def settings_page() -> str:
    """Markdown: a table of the fields of `screen.yaml`, one per section, and one of the variables."""
    plain, sections = [], []
    for name, field in ScreenConfig.model_fields.items():
        section = _section(field)
        if section is None:
            plain.append(_row(name, field))
        else:
            rows = [_row(inner, f) for inner, f in section.model_fields.items()]
            about = (field.description or section.__doc__ or "").strip().removesuffix(".")
            sections.append(
                f"### {name}\n\n{about[:1].upper()}{about[1:]}.\n\n{_table('field', rows)}"
            )
    variables = [
        _row(f"PHENOLAKE_{name.upper()}", field) for name, field in Settings.model_fields.items()
    ]
    parts = [_HEADER, _table("field", plain), *sections, _INSTALLATION]
    return "\n".join([*parts, _table("variable", variables)])


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _row(name: str, field: FieldInfo) -> str:
    words = " ".join((field.description or "").split())
    choices = list(dict.fromkeys(_choices(field.annotation)))
    if choices and not all(re.search(rf"\b{re.escape(c)}\b", words) for c in choices):
        words = f"{words} ({', '.join(choices)})"
    return f"| `{name}` | {_default(field)} | {cell(words)} |"


def _choices(annotation: Any) -> list[str]:
    """Words of the `Literal`s in a type, in order."""
    if isinstance(annotation, str | int):
        return [str(annotation)]
    return [word for part in get_args(annotation) for word in _choices(part)]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or value in (None, "", [], (), {}):
        return ""
    if hasattr(value, "get_secret_value"):
        return ""
    if isinstance(value, list | tuple):
        return "`[" + ", ".join(map(str, value)) + "]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _table(first: str, rows: list[str]) -> str:
    return "\n".join([f"| {first} | default | meaning |", "| --- | --- | --- |", *rows, ""])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(settings_page(), encoding="utf-8")
