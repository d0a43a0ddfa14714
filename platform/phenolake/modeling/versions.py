"""What the registry knows of a version of a model."""

from __future__ import annotations

import re
from dataclasses import dataclass

from phenolake.errors import ConfigurationError

#: What a registered model may be called: what fits into `models:/<name>@<alias>`.
NAME = r"[^/@:]+"


def check_model_name(name: str) -> None:
    """Refuse a name before a training, not after it.

    Raises
    ------
    ConfigurationError
        If the name doesn't fit into a model's URI.
    """
    if not re.fullmatch(NAME, name) or not name.strip(" ."):
        raise ConfigurationError(f"{name!r} is no name for a model; use none of / @ :")


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model and the run that trained it."""

    name: str
    version: str
    run_id: str

    @property
    def uri(self) -> str:
        """The version's URI, such as ``models:/cells/3``."""
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True)
class VersionFacts:
    """A registered version with its aliases, kind of model, gate metric and the gate's reason."""

    name: str
    version: str
    aliases: tuple[str, ...]
    kind: str
    metric: float | None
    reason: str
