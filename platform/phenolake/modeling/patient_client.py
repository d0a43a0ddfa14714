"""An MLflow client that waits for a server that does not answer, ever longer between tries."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from phenolake.errors import RegistryUnavailableError

logger = logging.getLogger(__name__)

_LONGEST_PAUSE = 60.0
#: Too many requests, a gateway without a server behind it, a server that starts or is too slow.
_NOT_NOW = frozenset({429, 502, 503, 504})


class PatientClient:
    """Calls of an MLflow client, each tried again with growing pauses while the server is away.

    Parameters
    ----------
    tracking_uri
        A store that is no server, such as SQLite, is asked once.
    patience
        Seconds after which a call gives up with `RegistryUnavailableError`.
    first_pause
        Seconds before the second try; doubled up to a minute.
    """

    def __init__(self, tracking_uri: str, patience: float, first_pause: float) -> None:
        self._uri = tracking_uri
        self._patience = patience
        self._first_pause = first_pause
        self._client = self._patiently(_quiet_client, tracking_uri)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *args, **options: self._patiently(method, *args, **options)

    def _patiently(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if not is_server(self._uri):
            return call(*args, **options)
        from tenacity import (
            RetryError,
            Retrying,
            before_sleep_log,
            retry_if_exception,
            stop_after_delay,
            wait_exponential,
        )

        waiting = Retrying(
            retry=retry_if_exception(_is_away),
            stop=stop_after_delay(self._patience),
            wait=wait_exponential(self._first_pause, _LONGEST_PAUSE),
            before_sleep=before_sleep_log(logger, logging.WARNING),
        )
        try:
            return waiting(call, *args, **options)
        except RetryError as error:
            reason = str(error.last_attempt.exception())
            raise RegistryUnavailableError(self._uri, self._patience, reason) from error


def is_server(tracking_uri: str) -> bool:
    """Whether a tracking URI names a server, which may be away, rather than a file."""
    return tracking_uri.startswith(("http://", "https://"))


def _is_away(error: BaseException) -> bool:
    """Whether a call failed for want of a server; what a server refuses is not tried again."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import ConnectionError, HTTPError, RetryError, Timeout

    for cause in _causes(error):
        if isinstance(cause, ConnectionError | RetryError | Timeout):
            return True
        if isinstance(cause, HTTPError) and cause.response is not None:
            return cause.response.status_code in _NOT_NOW
        if isinstance(cause, MlflowException) and cause.get_http_status_code() in _NOT_NOW:
            return True
    return False


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _quiet_client(tracking_uri: str) -> Any:
    """Start MLflow without telemetry, migration logs or the warnings of its dependencies."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # Pauses are ours to make, so that they are logged and end when `patience` says.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    for name in ("alembic", "mlflow.store.db.utils", "mlflow.tracking"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
        # Opens and migrates the store while warnings are off.
        client.search_experiments(max_results=1)
    return client
