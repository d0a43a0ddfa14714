"""Delta tables with atomic partition writes, time travel, and SQL through DuckDB."""

from phenolake.lake.catalog import write_catalog
from phenolake.lake.commits import Commit
from phenolake.lake.mask_codec import (
    CODEC,
    decode_array,
    decode_labels,
    encode_array,
    encode_labels,
)
from phenolake.lake.store import Lake

__all__ = [
    "CODEC",
    "Commit",
    "Lake",
    "decode_array",
    "decode_labels",
    "encode_array",
    "encode_labels",
    "write_catalog",
]
