"""Where a lake is: a local folder or an `s3://` prefix, and the file system behind it."""

from __future__ import annotations

import errno
import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import pyarrow.fs as arrow_fs

from phenolake.errors import LakeLocationError

_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FULL_TEXT = ("No space left on device", "Disk quota exceeded")
_NOT_WRITABLE_TEXT = ("Permission denied", "Read-only file system", "ACCESS_DENIED", "AccessDenied")

#: When this process last wrote to a store successfully, and for how long that is taken for granted.
_ANSWERED: dict[tuple[str | None, ...], float] = {}
_TRUSTED_S = 600.0


@dataclass(frozen=True)
class Location:
    """Root of a lake. `options` go to deltalake; what they lack comes from AWS_* variables."""

    uri: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold secrets

    @classmethod
    def parse(cls, uri: str, options: Mapping[str, str] | None = None) -> Location:
        """Read a folder, `file://` or `s3://bucket/prefix`; touches nothing.

        Raises
        ------
        LakeLocationError
            If the URI has another scheme, or names no bucket.
        """
        uri = os.fspath(uri)
        scheme, separator, rest = uri.partition("://")
        if not separator or scheme == "file":
            folder = Path(rest if separator else uri).expanduser()
            return cls(str(Path(os.path.abspath(folder))), dict(options or {}))  # noqa: PTH100
        if scheme != "s3" or not rest.strip("/"):
            raise LakeLocationError(uri, "give a local folder or s3://<bucket>/<prefix>")
        if "@" in rest.partition("/")[0]:
            raise LakeLocationError(
                "s3://...", "credentials come from AWS_... variables, not from the URI"
            )
        # Without a conditional put two writers on S3 could both win the same version.
        return cls(f"s3://{rest.strip('/')}", {"aws_conditional_put": "etag", **(options or {})})

    @property
    def is_local(self) -> bool:
        """Whether the lake is a folder on this machine."""
        return not self.uri.startswith("s3://")

    def filesystem(self, *below: str) -> arrow_fs.FileSystem:
        """Arrow file system whose root is the lake, or a folder below it."""
        if self.is_local:
            return arrow_fs.SubTreeFileSystem(
                str(Path(self.uri, *below)), arrow_fs.LocalFileSystem(use_mmap=False)
            )
        prefix = "/".join((self.uri.removeprefix("s3://"), *below))
        return arrow_fs.SubTreeFileSystem(prefix, _s3_filesystem(*self.store))

    @property
    def store(self) -> tuple[str | None, ...]:
        """Endpoint, region and credentials of the object store as they are now."""

        def setting(name: str) -> str | None:
            return self.options.get(name) or self.options.get(name.lower()) or os.environ.get(name)

        return (
            setting("AWS_ENDPOINT_URL_S3")
            or setting("AWS_ENDPOINT_URL")
            or setting("AWS_ENDPOINT"),
            setting("AWS_REGION") or setting("AWS_DEFAULT_REGION"),
            setting("AWS_ACCESS_KEY_ID"),
            setting("AWS_SECRET_ACCESS_KEY"),
            setting("AWS_SESSION_TOKEN"),
        )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn the storage's refusal to write into one `LakeLocationError`."""
        try:
            yield
        except LakeLocationError:
            raise
        except Exception as error:
            number = getattr(error, "errno", None)
            text = str(error)
            if number in _NOT_WRITABLE or any(phrase in text for phrase in _NOT_WRITABLE_TEXT):
                raise LakeLocationError(
                    self.uri,
                    "can't be written (read-only or no permission). Give this user write access, "
                    "or choose another lake with PHENOLAKE_HOME",
                ) from error
            # deltalake's errors have a text, but no number.
            if number in _FULL or any(phrase in text for phrase in _FULL_TEXT):
                raise LakeLocationError(
                    self.uri, "no space left; free some, then run this again"
                ) from error
            if number in {errno.ENOTDIR, errno.EEXIST}:
                raise LakeLocationError(
                    self.uri, "a file is in the way of the lake; give a folder"
                ) from error
            raise

    def validate(self) -> None:
        """Make the folder where it is missing, and write and delete a small file.

        A store that took it is not asked again for ten minutes.

        Raises
        ------
        LakeLocationError
            If the URI is a file, or can't be made or written.
        """
        with self.writing():
            if self.is_local:
                folder = Path(self.uri)
                if folder.exists() and not folder.is_dir():
                    raise LakeLocationError(self.uri, "this is a file; a lake is a folder")
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder):
                    return
            self._validate_s3()

    def _validate_s3(self) -> None:
        place = (*self.store, self.uri)
        if time.monotonic() - _ANSWERED.get(place, -math.inf) < _TRUSTED_S:
            return
        probe = f".phenolake-probe-{os.getpid()}"
        filesystem = self.filesystem()
        try:
            with filesystem.open_output_stream(probe) as sink:
                sink.write(b"phenolake")
            filesystem.delete_file(probe)
        except OSError as error:
            if any(phrase in str(error) for phrase in _NOT_WRITABLE_TEXT):
                raise
            raise LakeLocationError(
                self.uri, f"the object store does not answer as expected ({_first_line(error)})"
            ) from error
        _ANSWERED[place] = time.monotonic()


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]


@lru_cache(maxsize=8)
def _s3_filesystem(
    endpoint: str | None,
    region: str | None,
    access_key: str | None,
    secret_key: str | None,
    session_token: str | None,
) -> arrow_fs.FileSystem:
    scheme = "http" if endpoint and endpoint.startswith("http://") else "https"
    return arrow_fs.S3FileSystem(
        endpoint_override=endpoint,
        scheme=scheme,
        region=region,
        access_key=access_key,
        secret_key=secret_key,
        session_token=session_token,
        allow_delayed_open=True,  # a small file is one request, not three
    )
