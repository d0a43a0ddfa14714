"""Every error a user can meet, as one family.

Each class takes the facts and writes the sentence: what, where, expected, got, what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class PhenolakeError(Exception):
    """Base of all errors that Phenolake raises on purpose."""


class ConfigurationError(PhenolakeError, ValueError):
    """A `screen.yaml`, a setting or an argument says something impossible."""


class ScreenConfigError(ConfigurationError):
    """A `screen.yaml` can't be used; names the file and the field."""

    def __init__(self, path: str | Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")


class UnknownNameError(ConfigurationError, KeyError):
    """A name is not among the known ones; offers the closest."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        close = get_close_matches(name, known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        super().__init__(f"unknown {kind} {name!r}.{hint} Known: {', '.join(known) or 'none'}.")

    def __str__(self) -> str:
        return str(self.args[0])


class WellNameError(ConfigurationError):
    """A text is not a well name, or the well is not on the plate."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"well {text!r}: {reason}")


class EmptyFolderError(PhenolakeError):
    """A folder holds no image that a reader knows."""

    def __init__(self, path: str | Path, looked_for: str) -> None:
        super().__init__(
            f"{path}: no images found (looked for {looked_for}). "
            "Check the path, or give a `pattern` in screen.yaml; `phenolake inspect` shows what is there."
        )


class ImageReadError(PhenolakeError):
    """An image file can't be decoded, or is not what the catalogue says."""

    def __init__(self, uri: str, reason: str) -> None:
        self.uri = uri
        self.reason = reason
        super().__init__(f"{uri}: {reason}")


class LakeError(PhenolakeError):
    """The lake can't be opened, read or written."""


class LakeLocationError(LakeError):
    """The lake's URI can't hold a lake."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(f"lake {uri}: {reason}")


class TableMissingError(LakeError, LookupError):
    """A table has no version in this lake yet."""

    def __init__(self, table: str, uri: str) -> None:
        super().__init__(
            f"table {table!r} does not exist yet in {uri}; materialize the asset of that name first"
        )


class TableSchemaError(LakeError, ValueError):
    """Rows don't fit the declared table."""

    def __init__(self, table: str, problem: str) -> None:
        super().__init__(f"table {table!r}: {problem}")


class NotFoundError(LakeError, LookupError):
    """A screen, plate, well, site or cell that the lake does not hold."""

    def __init__(self, kind: str, name: object, place: str = "the lake") -> None:
        super().__init__(f"{place} has no {kind} {name!r}")


class LibraryMissingError(PhenolakeError, ImportError):
    """An optional library is needed for what was asked."""

    def __init__(self, library: str, purpose: str, extra: str | None = None) -> None:
        wanted = f"phenolake[{extra}]" if extra else library
        super().__init__(
            f"{purpose} needs {library}, which is not installed; pip install '{wanted}' adds it"
        )


class QueryError(LakeError, ValueError):
    """An SQL text is not one read-only statement, or DuckDB refuses it."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"SQL: {reason}")


class LabelImageError(PhenolakeError, ValueError):
    """A label image can't be packed or unpacked."""


class MaskShapeError(PhenolakeError, ValueError):
    """Masks and image of one site have different shapes."""

    def __init__(self, where: str, expected: tuple[int, ...], got: tuple[int, ...]) -> None:
        super().__init__(f"{where}: mask shape {got} does not fit the image shape {expected}")


class ChannelError(ConfigurationError):
    """An image has not the shape, the pixels or the channels that were announced."""


class CellposeMissingError(PhenolakeError):
    """Cellpose was asked for and the package or the weights are not there."""

    def __init__(self, missing: str, folder: str | Path, hub: str = "") -> None:
        super().__init__(
            f"{missing}. Three ways to the weights: name a file as `cellpose:/path/to/weights`; copy "
            f"them into {folder} (or set PHENOLAKE_WEIGHTS or CELLPOSE_LOCAL_MODELS_PATH to the "
            f"folder that has them); or set PHENOLAKE_WEIGHTS_HUB to an address that serves them by "
            f"name (now {hub or 'none'}). The package comes with `pip install "
            "'phenolake[cellpose]'`. `classical` needs neither."
        )


class DeviceMemoryError(PhenolakeError):
    """A network can't run on a device even for a single tile."""

    def __init__(self, device: str, tile: tuple[int, ...]) -> None:
        super().__init__(
            f"{device} has no memory left for one tile of shape {tile}; "
            "end other programs that use it, or set CUDA_VISIBLE_DEVICES= to run on the CPU"
        )


class ControlsMissingError(PhenolakeError, ValueError):
    """A step needs control wells and a plate has none."""

    def __init__(self, step: str, group: str, reference: str) -> None:
        super().__init__(
            f"{step}: no control wells in {group} (looked for {reference}). "
            "Mark them in the plate map (control type `negcon`) or choose another reference."
        )


class TrainingDataError(ConfigurationError):
    """Cells, labels or pixels can't train a model or be judged by one."""


class LeakageError(ConfigurationError):
    """A split puts cells of one group into several parts."""

    def __init__(self, by: str, groups: list[str]) -> None:
        shown = "; ".join(groups[:3]) + ("; ..." if len(groups) > 3 else "")
        super().__init__(f"split by {by} leaks: {len(groups)} group(s) in several parts ({shown})")


class ModelFileError(PhenolakeError):
    """A stored model or checkpoint is damaged, or not one of ours."""

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")


class TrainingDivergedError(PhenolakeError):
    """The loss became infinite or NaN."""

    def __init__(self, epoch: int, learning_rate: float) -> None:
        super().__init__(
            f"training diverged in epoch {epoch}; lower the learning rate (now {learning_rate:g})"
        )


class ImportSourceError(PhenolakeError):
    """Tables that another program wrote can't be read or understood."""

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path = str(path)
        self.reason = reason
        super().__init__(f"{path}: {reason}")


class PlateTwiceError(ConfigurationError):
    """Two folders of a screen claim the same plate."""

    def __init__(self, screen: str, plate: str, folders: Iterable[str | Path]) -> None:
        super().__init__(
            f"screen {screen!r}: plate {plate!r} is in {' and in '.join(map(str, folders))}; none of "
            "them is taken. Rename a folder, or move it to another screen"
        )


class LinkRefusedError(ConfigurationError):
    """A link to a folder leads out of the folders that may be read."""

    def __init__(self, link: str | Path, target: str | Path) -> None:
        self.link, self.target = str(link), str(target)
        self.advice = f"Copy the folder, or allow it: PHENOLAKE_LINKED_FOLDERS='[\"{target}\"]'"
        super().__init__(
            f"{link} is a link to {target}, outside of the screen, and is not followed. {self.advice}"
        )


class PackageMissingError(PhenolakeError, ImportError):
    """A package that is no part of every installation is needed."""

    def __init__(self, package: str, needed_for: str) -> None:
        super().__init__(f"{needed_for} needs the package {package}: pip install {package}")


class DiskFullError(PhenolakeError, OSError):
    """A file can't be written for want of space."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(
            f"{path}: the disk is full; free some space and start again, what was saved before is kept"
        )


class RegistryUnavailableError(PhenolakeError):
    """MLflow did not answer for as long as a run waits; `kept` is where the model lies, if any."""

    def __init__(
        self, uri: str, patience: float, reason: str, kept: str | Path | None = None
    ) -> None:
        self.uri, self.patience, self.reason = uri, patience, reason
        where = (
            f"; the model is kept in {kept}, `phenolake models register {kept} --name NAME` records it"
            if kept
            else ""
        )
        super().__init__(
            f"MLflow at {uri} did not answer for {patience:g} s ({reason.splitlines()[0]}); start "
            f"its server or correct PHENOLAKE_MLFLOW_URI{where}"
        )


class TrainingMemoryError(PhenolakeError):
    """A network can't be trained on a device even with one image at a time."""

    def __init__(self, device: str, shape: tuple[int, ...]) -> None:
        super().__init__(
            f"{device} has no memory left to train on one image of shape {shape}; end other programs "
            "that use it, take a smaller network, or set CUDA_VISIBLE_DEVICES= to run on the CPU"
        )
