"""Every setting of this installation, read from the environment and `phenolake.toml`.

A newcomer meets one: PHENOLAKE_HOME, the folder that holds everything Phenolake writes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from phenolake.errors import ConfigurationError

_PASSWORD = re.compile(r"(?<=://)[^/@]*:[^/@]*(?=@)")


class Settings(BaseSettings):
    """Settings; environment variables (`PHENOLAKE_...`) win over `phenolake.toml`."""

    model_config = SettingsConfigDict(
        env_prefix="PHENOLAKE_", toml_file="phenolake.toml", extra="forbid", frozen=True
    )

    home: Path = Field(Path("lake"), description="folder for tables, runs, models and the inbox")
    lake_uri: str = Field(
        "", description="where the Delta tables are; default <home>/tables; may be s3://..."
    )
    inbox: str = Field(
        "",
        description="folder or object store (s3://bucket/prefix) watched for new plates, as "
        "<inbox>/<screen>/<plate>; default <home>/inbox",
    )
    linked_folders: list[Path] = Field(
        default_factory=list,
        description="folders outside of a screen that links to its plates may lead to",
    )
    explorer_url: str = Field(
        "http://127.0.0.1:8000",
        description="address of `phenolake explore`, for links from Dagster; empty: no links",
    )
    mlflow_uri: str = Field(
        "", description="MLflow tracking server; default SQLite in <home>/mlflow"
    )
    workers: int = Field(0, ge=0, description="processes per run; 0 uses every core")
    ray_address: str = Field(
        "", description="Ray cluster for the fields of a plate, e.g. ray://host:10001; empty: none"
    )
    ray_gpus: float = Field(0, ge=0, description="GPUs of one Ray worker; 0 uses cores only")
    quiet_time_s: float = Field(
        60, ge=0, description="a plate folder is complete when unchanged for so many seconds"
    )
    keep_fetched_days: float = Field(
        0,
        ge=0,
        description="local copies of plates from an object store are deleted so many days after "
        "they were fetched, once they have profiles; 0 keeps them",
    )
    alert_webhook: SecretStr = Field(
        SecretStr(""),
        description="address that is told of failed plates, a full disk, a stuck queue",
    )
    alert_free_gb: float = Field(10, ge=0, description="less free space than this is alerted")
    alert_wait_hours: float = Field(
        6,
        gt=0,
        description="a run that waits longer, or a plate whose copy takes longer, is alerted",
    )
    sql_seconds: float = Field(600, gt=0, description="longest time of one SQL query")
    sql_memory_gb: float = Field(
        0, ge=0, description="memory of one SQL query and of its answer; 0: half of the machine's"
    )
    retention_days: float = Field(
        7, ge=1, description="for so long every version of a table stays readable"
    )
    segmentation: str = Field("auto", description="segmentation method unless the screen names one")
    weights: Path | None = Field(
        None,
        description="folder with Cellpose weights; default CELLPOSE_LOCAL_MODELS_PATH or Cellpose's",
    )
    weights_hub: str = Field(
        "", description="address below which Cellpose weights are fetched by name; empty: never"
    )

    @field_validator("lake_uri", "inbox", "mlflow_uri")
    @classmethod
    def _names_no_password(cls, uri: str) -> str:
        """Addresses are shown in pages and logs; passwords must not be."""
        if _PASSWORD.search(uri):
            raise ValueError(
                "a password does not belong into an address; give AWS_..., "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or PGPASSWORD"
            )
        return uri

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}, got {_without_password(e['input'])!r}"
                for e in error.errors()
            )
            raise ConfigurationError(
                f"settings (PHENOLAKE_... variables or phenolake.toml): {problems}"
            ) from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, the environment over the TOML file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def home_path(self) -> Path:
        """`home` as an absolute path."""
        return self.home.expanduser().resolve()

    @property
    def tables_uri(self) -> str:
        """URI of the Delta tables."""
        return self.lake_uri or str(self.home_path / "tables")

    @property
    def inbox_path(self) -> Path:
        """Folder that is watched for new plates; those of an object store are copied there."""
        if not self.inbox or self.inbox_uri:
            return self.home_path / "inbox"
        return Path(self.inbox.removeprefix("file://")).expanduser().resolve()

    @property
    def inbox_uri(self) -> str:
        """Object store that is watched for new plates; empty if a folder is."""
        scheme, separator, _ = self.inbox.partition("://")
        return self.inbox if separator and scheme != "file" else ""

    @property
    def linked_paths(self) -> tuple[Path, ...]:
        """`linked_folders` as real paths."""
        return tuple(folder.expanduser().resolve() for folder in self.linked_folders)

    @property
    def dagster_path(self) -> Path:
        """Dagster's home: runs, events and schedules."""
        return self.home_path / "dagster"

    @property
    def mlflow_tracking_uri(self) -> str:
        """URI of the MLflow tracking store and registry."""
        return self.mlflow_uri or f"sqlite:///{self.home_path / 'mlflow' / 'mlflow.db'}"


def _without_password(value: Any) -> Any:
    return _PASSWORD.sub("...", value) if isinstance(value, str) else value
