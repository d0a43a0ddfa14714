"""A Zarr store that reads only what lies in its own folder: links in it are not followed."""

from __future__ import annotations

from typing import Any

from zarr.storage import LocalStore


class OwnFilesStore(LocalStore):
    """A local store, read-only; a chunk or metadata file that is a link is an `OSError`."""

    async def get(self, key: str, *arguments: Any, **options: Any) -> Any:
        """Return the bytes under a key."""
        path = self.root / key
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise OSError(f"{key} is a link out of the store")
        return await super().get(key, *arguments, **options)
