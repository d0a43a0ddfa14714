"""Where Cellpose weights come from: a named file, a mirror folder, or a hub the user named."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

from phenolake.errors import CellposeMissingError
from phenolake.settings import Settings

#: Published weights, best first; `auto` uses the first one that is there.
PUBLISHED = ("cpsam_v2", "cpdino", "cpdino-vitb", "cpsam")
#: What the package's own description says of all its models.
_CELLPOSE_TERMS = "trained on CC-BY-NC data (non-commercial), says Cellpose"
_LICENCES = {
    "cpsam_v2": _CELLPOSE_TERMS,
    "cpsam": _CELLPOSE_TERMS,
    "cpdino": f"{_CELLPOSE_TERMS}; built on DINOv3, which has a licence of its own",
    "cpdino-vitb": f"{_CELLPOSE_TERMS}; built on DINOv3, which has a licence of its own",
}
_OWN_LICENCE = f"not known; Cellpose weights they were tuned from are {_CELLPOSE_TERMS}"
_PATIENCE_S = 60
_log = logging.getLogger(__name__)


def licence_of(model: str) -> str:
    """What is known of the licence of weights, one line; users check before they publish or sell."""
    return _LICENCES.get(model, _OWN_LICENCE)


def weights_folder() -> Path:
    """Folder in which weights are looked up by name.

    The setting `weights` (PHENOLAKE_WEIGHTS), else CELLPOSE_LOCAL_MODELS_PATH, else Cellpose's own.
    """
    ours = Settings().weights
    named = os.environ.get("CELLPOSE_LOCAL_MODELS_PATH")
    if ours is not None:
        return ours.expanduser()
    return Path(named) if named else Path.home() / ".cellpose" / "models"


def find_weights(model: str, accept: Callable[[Path], object]) -> Path:
    """Path of the weights named by a file path, or by a name in the mirror folder or on the hub.

    Nothing is fetched unless the setting `weights_hub` names an address; what comes from there
    enters the mirror folder once `accept` raised nothing.

    Raises
    ------
    CellposeMissingError
        If the package is not installed, there is no such file, or the hub does not send it.
    """
    folder = weights_folder()
    hub = Settings().weights_hub
    if importlib.util.find_spec("cellpose") is None:
        raise CellposeMissingError("Cellpose is not installed", folder, hub)
    given = Path(model).expanduser()
    # A bare name is looked up in the folder alone, so that no same-named file gets in the way.
    is_path = len(given.parts) > 1
    path = given if is_path else folder / model
    if path.is_file():
        return path.resolve()
    if is_path or not hub:
        raise CellposeMissingError(
            f"no Cellpose weights {model!r}: {path} is not a file", folder, hub
        )
    return _fetch(model, folder, hub, accept)


def _fetch(model: str, folder: Path, hub: str, accept: Callable[[Path], object]) -> Path:
    address = f"{hub.rstrip('/')}/{quote(model)}"
    _log.warning("Fetching %s into %s; licence: %s", address, folder, licence_of(model))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder) as partial:
        arrived = Path(partial) / model
        try:
            with urlopen(address, timeout=_PATIENCE_S) as source, arrived.open("wb") as file:
                shutil.copyfileobj(source, file, 2**20)
                announced = source.headers.get("Content-Length")
        except (OSError, ValueError) as error:
            raise CellposeMissingError(
                f"no Cellpose weights {model!r}: {address} does not send them ({error})",
                folder,
                hub,
            ) from error
        if announced is not None and int(announced) != arrived.stat().st_size:
            raise CellposeMissingError(
                f"no Cellpose weights {model!r}: {address} sent {arrived.stat().st_size} of "
                f"{announced} bytes",
                folder,
                hub,
            )
        accept(arrived)
        arrived.replace(folder / model)
    return (folder / model).resolve()
