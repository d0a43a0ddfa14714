"""Masks of Cellpose `_seg.npy` files, read without running anything that the file names.

Such a file is a pickle. Its opcodes are checked before it is opened, and arrays are rebuilt from
plain values by our own code; no class or function of the file is ever looked up.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from pathlib import Path
from typing import Any

import numpy as np

from phenolake.errors import ImageReadError

#: A file of Cellpose's for a large field is some 100 MB.
MAX_BYTES = 2 * 1024**3

#: What pickles of arrays in plain containers are made of; nothing here calls into a module but
#: GLOBAL, STACK_GLOBAL and REDUCE, which get our own stand-ins.
_STRUCTURE = (
    "PROTO FRAME STOP MARK POP POP_MARK MEMOIZE PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET"
)
_NUMBERS = "NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT"
_TEXTS = (
    "STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 "
    "BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8"
)
_CONTAINERS = (
    "EMPTY_LIST EMPTY_TUPLE EMPTY_DICT LIST TUPLE TUPLE1 TUPLE2 TUPLE3 DICT APPEND APPENDS "
    "SETITEM SETITEMS"
)
_OBJECTS = "GLOBAL STACK_GLOBAL REDUCE BUILD"
_OPCODES = frozenset(" ".join((_STRUCTURE, _NUMBERS, _TEXTS, _CONTAINERS, _OBJECTS)).split())
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_DTYPE = re.compile(r"[iu][1248]|b1")


def read_cellpose_seg(path: Path) -> np.ndarray:
    """Masks of a `_seg.npy` file, an integer array as stored, shape (y, x), 0 = background.

    Raises
    ------
    ImageReadError
        If the file is no array file, names anything but arrays and plain values, or holds no
        `masks` of two axes.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ImageReadError(str(path), "is larger than any Cellpose file")
    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, dtype = header(file)
        except Exception as error:  # the header is Python source; its parser raises much
            raise ImageReadError(str(path), "is no NumPy array file") from error
        if dtype.kind != "O":
            # A plain array: the masks alone, as `numpy.save` writes them.
            body = file.read(MAX_BYTES)
            if dtype.hasobject or len(body) != math.prod(shape) * dtype.itemsize:
                raise ImageReadError(str(path), "is truncated")
            array = np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")
            return _checked(array, path)
        content = _plain_values(file.read(), path)
    masks = content.get("masks") if isinstance(content, dict) else None
    if not isinstance(masks, _StoredArray):
        raise ImageReadError(str(path), "holds no `masks`; save it again in Cellpose")
    try:
        return _checked(masks.array(), path)
    except ValueError as error:
        raise ImageReadError(str(path), f"masks can't be rebuilt: {error}") from error


def _checked(array: np.ndarray, path: Path) -> np.ndarray:
    array = np.squeeze(array)
    if array.ndim != 2 or array.dtype.kind not in "iub":
        raise ImageReadError(
            str(path),
            f"masks are {array.dtype} of shape {array.shape}; expected whole numbers (y, x)",
        )
    return array


def _plain_values(data: bytes, path: Path) -> Any:
    """Value of a pickle of an object array with one element; arrays become stand-ins."""
    refused = ImageReadError(
        str(path),
        "names something that is neither an array nor a plain value, so it was not opened. "
        "Save the masks as TIFF in Cellpose (`--save_tif`, or File > Save masks as PNG/tif)",
    )
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name not in _OPCODES:
                raise refused
            # The memo is a table that grows to its largest index.
            if opcode.name in _PUTS and int(str(argument)) > len(data):
                raise refused
        outer = _Unpickler(io.BytesIO(data)).load()
    except ImageReadError:
        raise
    except _RefusedError:
        raise refused from None
    except Exception as error:  # damaged pickles raise almost anything
        raise ImageReadError(str(path), "is damaged: its contents can't be read") from error
    # `numpy.save` of a dict writes an object array of shape () with the dict in it.
    if isinstance(outer, _StoredArray) and isinstance(outer.data, list) and len(outer.data) == 1:
        return outer.data[0]
    return outer


class _RefusedError(Exception):
    pass


class _StoredDtype:
    """An element type as pickles write it: its code and byte order."""

    def __init__(self, code: str = "", *_: object) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self.order = state[1]


class _StoredArray:
    """An array as pickles write it: shape, element type and bytes, not yet looked at."""

    def __init__(self, *_: object) -> None:
        self.shape: Any = None
        self.dtype: Any = None
        self.fortran: Any = False
        self.data: Any = None

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) == 5:
            _, self.shape, self.dtype, self.fortran, self.data = state

    def array(self) -> np.ndarray:
        """The array, if it is one of whole numbers; `ValueError` if parts don't fit."""
        if not isinstance(self.dtype, _StoredDtype) or not _DTYPE.fullmatch(str(self.dtype.code)):
            raise ValueError("not of whole numbers")
        dtype = np.dtype(self.dtype.order + self.dtype.code)
        shape = self.shape
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError("no shape")
        if not isinstance(self.data, (bytes, bytearray)):
            raise ValueError("no pixels")
        flat = np.frombuffer(self.data, dtype)
        return flat.reshape(shape, order="F" if self.fortran else "C")


def _stored_scalar(dtype: Any = None, data: Any = None) -> Any:
    """A number as NumPy pickles write it; only its presence matters here."""
    return (dtype, data)


def _stored_buffer(data: Any = b"", dtype: Any = None, shape: Any = None, order: Any = "C") -> Any:
    stored = _StoredArray()
    stored.shape, stored.dtype, stored.data, stored.fortran = shape, dtype, data, order == "F"
    return stored


def _latin(text: Any = "", encoding: Any = "") -> bytes:
    """Bytes as old pickles write them: text of one byte a letter."""
    if not isinstance(text, str) or encoding != "latin1":
        raise _RefusedError
    return text.encode("latin1")


class _Unpickler(pickle.Unpickler):
    """Knows the names that arrays are pickled with, and answers them with stand-ins."""

    def find_class(self, module: str, name: str) -> Any:
        package = module.replace("numpy.core.", "numpy._core.")
        known: dict[tuple[str, str], Any] = {
            ("numpy", "ndarray"): _StoredArray,
            ("numpy", "dtype"): _StoredDtype,
            ("numpy._core.multiarray", "_reconstruct"): _StoredArray,
            ("numpy._core.multiarray", "scalar"): _stored_scalar,
            ("numpy._core.numeric", "_frombuffer"): _stored_buffer,
            ("_codecs", "encode"): _latin,
        }
        if (package, name) not in known:
            raise _RefusedError
        return known[package, name]
