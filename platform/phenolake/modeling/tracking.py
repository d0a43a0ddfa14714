"""Training runs and model versions in MLflow, with no pickled model anywhere."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from phenolake.errors import ConfigurationError, RegistryUnavailableError, UnknownNameError
from phenolake.modeling.champion import METRIC, Promotion, Rematch, Standing, judge
from phenolake.modeling.encoder import Encoder
from phenolake.modeling.model_parts import Model
from phenolake.modeling.patient_client import PatientClient, is_server
from phenolake.modeling.run_files import MODEL_FOLDER, Findings, write_report
from phenolake.modeling.scores import ClassificationScores
from phenolake.modeling.splits import SplitSummary
from phenolake.modeling.versions import NAME, RegisteredVersion, VersionFacts, check_model_name
from phenolake.modeling.weights import save_model

if TYPE_CHECKING:
    from phenolake.modeling.classical.cost_sweep import CostSweep

CANDIDATE = "candidate"
CHAMPION = "champion"
#: Seconds before a server that does not answer is asked a second time.
FIRST_PAUSE = 1.0
_PARENT = "mlflow.parentRunId"
_SQLITE = "sqlite:///"
_MODEL_URI = re.compile(rf"models:/(?P<name>{NAME})(?:@(?P<alias>{NAME})|/(?P<version>\d+))")


class Tracker:
    """An MLflow tracking store and model registry; by default that of this installation.

    Parameters
    ----------
    tracking_uri
        `sqlite:///...` or a server's URL.
    artifact_root
        Folder or object store URI for files of new experiments. By default `artifacts` beside the
        SQLite file; a server decides for itself.
    patience
        Seconds to wait for a server that does not answer. After that the error names the folder
        that keeps the model; `phenolake models register` records it later.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        artifact_root: str | Path | None = None,
        patience: float = 600.0,
    ) -> None:
        if tracking_uri is None:
            from phenolake.settings import Settings

            tracking_uri = Settings().mlflow_tracking_uri
        self.tracking_uri = tracking_uri
        self.artifact_root = artifact_root
        self.patience = patience

    @cached_property
    def client(self) -> Any:
        """The MLflow client; made on first use, since the import takes seconds."""
        if self.tracking_uri.startswith(_SQLITE):
            Path(self.tracking_uri.removeprefix(_SQLITE)).parent.mkdir(parents=True, exist_ok=True)
        return PatientClient(self.tracking_uri, self.patience, FIRST_PAUSE)

    def log_training(
        self,
        experiment: str,
        model: Model | Encoder,
        scores: ClassificationScores,
        split: SplitSummary,
        *,
        run_name: str | None = None,
        params: Mapping[str, Any] | None = None,
        data_versions: Mapping[str, int] | None = None,
        tags: Mapping[str, str] | None = None,
        findings: Findings | None = None,
        sweep: CostSweep | None = None,
    ) -> str:
        """Record one training with its files and return the run id.

        Parameters
        ----------
        experiment
            By convention the asset that trains.
        scores
            Of the validation part.
        data_versions
            Delta version read, by table.
        tags
            Further tags, such as `dagster_run_id`.
        findings
            Further tables and pictures.
        sweep
            Costs that were tried; each becomes a run nested in this one.
        """
        versions = dict(data_versions or {})
        title = run_name or experiment
        with self._kept_if_unsent(title) as folder:
            digest = save_model(model, folder / MODEL_FOLDER)
            with self._run(experiment, run_name) as run_id:
                write_report(
                    folder, title, model, scores, split, versions, digest, findings or Findings()
                )
                self.client.log_artifacts(run_id, str(folder))
                self._log_numbers(run_id, model, scores)
                facts = {
                    "kind": model.kind,
                    "classes": ", ".join(scores.classes),
                    "split_by": split.by,
                    "split_sha256": split.sha256,
                    "held_out_sha256": split.held_out_sha256,
                    "weights_sha256": digest,
                    **{f"data_version.{table}": str(v) for table, v in versions.items()},
                }
                cells = {f"cells.{part}": count for part, count in split.cells.items()}
                settings = {**model.settings, "split_seed": split.seed, **cells, **(params or {})}
                self._log_texts(run_id, _flat(settings), {**facts, **(tags or {})})
                if sweep is not None:
                    self._log_sweep(experiment, run_id, sweep)
        return run_id

    def log_folder(
        self,
        experiment: str,
        folder: Path,
        *,
        run_name: str | None = None,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        curves: Sequence[Mapping[str, float]] = (),
        step_of: str = "epoch",
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Record a training whose files lie in a folder, as those of its model; return the run id.

        Folders inside it, such as checkpoints, are no part of the model and stay where they are.
        `curves` are rows with a step each, in the column `step_of`.
        """
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        points = [Metric(key, float(value), now, 0) for key, value in (metrics or {}).items()]
        for row in curves:
            points += [
                Metric(f"{step_of}_{key}", float(value), now, int(row[step_of]))
                for key, value in row.items()
                if key != step_of
            ]
        with self._run(experiment, run_name) as run_id:
            for file in sorted(path for path in folder.iterdir() if path.is_file()):
                self.client.log_artifact(run_id, str(file), MODEL_FOLDER)
            self._log_metrics(run_id, points)
            self._log_texts(run_id, _flat(params or {}), tags or {})
        return run_id

    def set_champion(self, name: str, version: str) -> None:
        """Give the alias `champion` to a version."""
        self.client.set_registered_model_alias(name, CHAMPION, version)

    def register(self, name: str, run_id: str) -> RegisteredVersion:
        """Make a run's model the newest version of a registered model, alias `candidate`."""
        from mlflow.exceptions import MlflowException

        check_model_name(name)
        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{self.client.get_run(run_id).info.artifact_uri}/{MODEL_FOLDER}"
        version = str(self.client.create_model_version(name, source, run_id).version)
        self.client.set_registered_model_alias(name, CANDIDATE, version)
        return RegisteredVersion(name, version, run_id)

    def promote(
        self,
        name: str,
        version: str,
        *,
        force: bool = False,
        rematch: Callable[[RegisteredVersion], Rematch | None] | None = None,
    ) -> Promotion:
        """Make a version the champion if it beats the present one; see `champion.judge`.

        `rematch` judges the champion again where both were judged on different cells.
        """
        challenger = self._standing(self.resolve(f"models:/{name}/{version}"))
        champion, again = None, None
        try:
            present = self.resolve(f"models:/{name}@{CHAMPION}")
        except UnknownNameError:
            pass
        else:
            champion = self._standing(present)
            comparable = champion.classes == challenger.classes
            if rematch is not None and comparable and champion.held_out != challenger.held_out:
                again = rematch(present)
        decision = Promotion(True, "forced") if force else judge(challenger, champion, again)
        if decision.promoted:
            self.client.set_registered_model_alias(name, CHAMPION, version)
        self.client.set_model_version_tag(name, version, "promotion", decision.reason)
        return decision

    def resolve(self, uri: str) -> RegisteredVersion:
        """Return the version that `models:/<name>@<alias>` or `models:/<name>/<version>` means.

        Raises
        ------
        ConfigurationError
            If the text is no such URI.
        UnknownNameError
            If there is no such model, alias or version.
        """
        from mlflow.exceptions import MlflowException

        match = _MODEL_URI.fullmatch(uri)
        if match is None:
            raise ConfigurationError(
                f"{uri!r} is not models:/<name>@<alias> or models:/<name>/<version>"
            )
        name = match["name"]
        try:
            if match["alias"]:
                found = self.client.get_model_version_by_alias(name, match["alias"])
            else:
                found = self.client.get_model_version(name, match["version"])
        except MlflowException as error:
            models = self.client.search_registered_models()
            known = [f"models:/{model.name}@{alias}" for model in models for alias in model.aliases]
            raise UnknownNameError("registered model", uri, known) from error
        return RegisteredVersion(name, str(found.version), str(found.run_id))

    def versions(self) -> list[VersionFacts]:
        """Return every version of every registered model, by name and number."""
        rows = []
        for model in self.client.search_registered_models():
            found = self.client.search_model_versions(f"name = '{model.name}'")
            for version in sorted(found, key=lambda version: int(version.version)):
                data = self.client.get_run(version.run_id).data
                aliases = sorted(
                    a for a, v in model.aliases.items() if str(v) == str(version.version)
                )
                rows.append(
                    VersionFacts(
                        model.name,
                        str(version.version),
                        tuple(aliases),
                        data.tags.get("kind", ""),
                        data.metrics.get(f"validation_{METRIC}"),
                        version.tags.get("promotion", ""),
                    )
                )
        return rows

    def fetch(self, version: RegisteredVersion, folder: Path) -> Path:
        """Copy a version's files into a folder and return where they are."""
        return Path(self.client.download_artifacts(version.run_id, MODEL_FOLDER, str(folder)))

    @contextmanager
    def _run(
        self, experiment: str, name: str | None, tags: Mapping[str, str] | None = None
    ) -> Iterator[str]:
        """Open a run and yield its id; it ends as FAILED if its contents can't be recorded."""
        run = self.client.create_run(
            self._experiment_id(experiment), run_name=name, tags=dict(tags or {})
        )
        run_id = str(run.info.run_id)
        try:
            yield run_id
        except RegistryUnavailableError:
            raise  # it would not hear of the failure either
        except BaseException:
            self.client.set_terminated(run_id, "FAILED")
            raise
        self.client.set_terminated(run_id)

    @contextmanager
    def _kept_if_unsent(self, title: str) -> Iterator[Path]:
        """Yield a folder for files to send; it stays only if the server does not take them."""
        parent = None
        if is_server(self.tracking_uri):
            from phenolake.settings import Settings

            parent = Settings().home_path / "unsent"
            parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{quote(title, safe='')}-", dir=parent))
        try:
            yield folder
        except RegistryUnavailableError as error:
            raise RegistryUnavailableError(
                error.uri, error.patience, error.reason, folder / MODEL_FOLDER
            ) from error
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)

    def _log_sweep(self, experiment: str, parent: str, sweep: CostSweep) -> None:
        """Record each cost that was tried as a run nested in that of the model."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        for row in sweep.table.iter_rows(named=True):
            cost = row.pop("cost")
            with self._run(experiment, f"cost {cost:g}", {_PARENT: parent}) as run_id:
                scores = [Metric(f"cross_validated_{key}", v, now, 0) for key, v in row.items()]
                self._log_metrics(run_id, scores)
                self._log_texts(run_id, {"cost": cost}, {"chosen": str(cost == sweep.best)})

    def _experiment_id(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(
                self.client.create_experiment(name, artifact_location=self._artifact_location(name))
            )
        except MlflowException as error:
            # Another process may have made it in between.
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return str(self.client.get_experiment_by_name(name).experiment_id)

    def _artifact_location(self, experiment: str) -> str | None:
        root = self.artifact_root
        if root is None and self.tracking_uri.startswith(_SQLITE):
            root = Path(self.tracking_uri.removeprefix(_SQLITE)).parent / "artifacts"
        if root is None:
            return None
        base = str(root) if "://" in str(root) else Path(root).expanduser().resolve().as_uri()
        return f"{base.rstrip('/')}/{quote(experiment, safe='')}"

    def _log_numbers(
        self, run_id: str, model: Model | Encoder, scores: ClassificationScores
    ) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(f"validation_{key}", value, now, 0) for key, value in scores.metrics.items()
        ]
        for row in getattr(model, "history", []):
            step = int(row["epoch"])
            metrics += [
                Metric(f"epoch_{key}", value, now, step)
                for key, value in row.items()
                if key != "epoch"
            ]
        self._log_metrics(run_id, metrics)

    def _log_metrics(self, run_id: str, metrics: Sequence[Any]) -> None:
        for start in range(0, len(metrics), 1000):  # MLflow's limit for one call
            self.client.log_batch(run_id, metrics=metrics[start : start + 1000])

    def _log_texts(self, run_id: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        from mlflow.entities import Param, RunTag

        pairs = [Param(key, str(value)) for key, value in params.items()]
        for start in range(0, len(pairs), 100):
            self.client.log_batch(run_id, params=pairs[start : start + 100])
        self.client.log_batch(run_id, tags=[RunTag(key, str(value)) for key, value in tags.items()])

    def _standing(self, version: RegisteredVersion) -> Standing:
        data = self.client.get_run(version.run_id).data
        return Standing(
            version.version,
            data.metrics.get(f"validation_{METRIC}"),
            data.tags.get("split_by", ""),
            data.tags.get("classes", ""),
            data.tags.get("held_out_sha256", ""),
        )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= (
            _flat(value, f"{prefix}{key}.")
            if isinstance(value, Mapping)
            else {f"{prefix}{key}": value}
        )
    return flat
