"""What the registry knows of a version of a model."""

from __future__ import annotations

from dataclasses import dataclass


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
