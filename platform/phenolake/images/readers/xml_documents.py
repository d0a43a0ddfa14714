"""Read XML that came with images: no document types, no entities, bounded memory.

Small documents go through defusedxml; long indexes are streamed record by record.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError
from xml.parsers.expat import ExpatError, ParserCreate

from phenolake.errors import ImageReadError

#: Largest document that is read whole, and longest stretch of a streamed one without an element.
MAX_DOCUMENT = 64 * 1024**2
MAX_SILENCE = 16 * 1024**2
MAX_STREAMED = 4 * 1024**3
MAX_NESTING = 64

_CHUNK = 1 << 20


def parse_xml(text: str | bytes, where: str) -> Element:
    """The root element of a document.

    Raises
    ------
    ImageReadError
        If it is no XML, declares a document type or entities, or is very large or deep.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if len(text) > MAX_DOCUMENT:
        raise ImageReadError(where, f"an XML document of {len(text):,} characters is too large")
    try:
        root: Element = fromstring(text, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError, RecursionError) as error:
        raise ImageReadError(
            where, f"not readable as XML: {str(error) or type(error).__name__}"
        ) from error
    return root


def read_xml(path: Path) -> Element:
    """The root element of a small file; see `parse_xml`."""
    try:
        if path.is_symlink():
            raise ImageReadError(str(path), "a link, which is not followed")
        if path.stat().st_size > MAX_DOCUMENT:
            raise ImageReadError(
                str(path), f"an XML file of {path.stat().st_size:,} bytes is too large"
            )
        return parse_xml(path.read_bytes(), str(path))
    except OSError as error:
        raise ImageReadError(str(path), str(error)) from error


@dataclass(slots=True)
class Record:
    """One element of a long document: attributes, text, its children's texts, and their children's ids."""

    name: str
    attributes: dict[str, str]
    fields: dict[str, str] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    text: str = ""


def stream_records(path: Path, wanted: frozenset[str]) -> Iterator[Record]:
    """Every outermost element whose local name is wanted, in order; nothing else is kept.

    The parser's own handlers refuse document types and entities, as defusedxml's do; its
    pure-Python tree would cost more than reading the images' headers.

    Raises
    ------
    ImageReadError
        If the file can't be read, is not well-formed (also when only its end is missing),
        declares a document type or entities, or nests too deep. Records before the fault have
        been yielded.
    """
    listener = _Listener(str(path), wanted)
    try:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)
        with open(os.open(path, flags), "rb") as file:  # noqa: PTH123  (opened without following links)
            if os.fstat(file.fileno()).st_size > MAX_STREAMED:
                raise ImageReadError(str(path), "an XML file of more than 4 GiB")
            silence = 0
            while chunk := file.read(_CHUNK):
                silence += len(chunk)
                try:
                    listener.parser.Parse(chunk, False)
                finally:
                    silence = 0 if listener.heard else silence
                    yield from listener.taken()
                if silence > MAX_SILENCE:
                    raise ImageReadError(str(path), f"no element within {MAX_SILENCE:,} bytes")
            listener.parser.Parse(b"", True)
    except ExpatError as error:
        raise ImageReadError(str(path), f"not readable as XML: {error}") from error
    except (OSError, ValueError, LookupError) as error:  # LookupError: an encoding nobody knows
        raise ImageReadError(str(path), f"not readable: {error}") from error


class _Listener:
    """Handlers of an expat parser that collect the wanted records and refuse declarations."""

    def __init__(self, where: str, wanted: frozenset[str]) -> None:
        self.where, self.wanted = where, wanted
        self.heard = False
        self._found: list[Record] = []
        self._record: Record | None = None
        self._depth = self._record_depth = 0
        self._text: list[str] = []
        self._names: dict[str, str] = {}
        self.parser = ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text.append
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.parser.ExternalEntityRefHandler = self._refuse

    def taken(self) -> list[Record]:
        """Records finished since the last call."""
        found, self._found, self.heard = self._found, [], False
        return found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._text.clear()
        record = self._record
        if record is None:
            if self._depth > MAX_NESTING:
                raise ImageReadError(self.where, f"elements nest deeper than {MAX_NESTING}")
            local = self._names.get(name) or self._local(name)
            if local in self.wanted:
                named = {self._local(key): value for key, value in attributes.items()}
                self._record, self._record_depth = Record(local, named), self._depth
        elif self._depth > MAX_NESTING:
            raise ImageReadError(self.where, f"elements nest deeper than {MAX_NESTING}")
        elif "id" in attributes:
            record.ids.append(attributes["id"])

    def _end(self, name: str) -> None:
        self.heard = True
        record, depth = self._record, self._depth
        self._depth = depth - 1
        if record is None:
            self._text.clear()
        elif depth == self._record_depth + 1:
            if text := "".join(self._text).strip():
                record.fields[self._names.get(name) or self._local(name)] = text
            self._text.clear()
        elif depth == self._record_depth:
            record.text = "".join(self._text).strip()
            self._found.append(record)
            self._record = None

    def _local(self, name: str) -> str:
        local = self._names.get(name)
        if local is None:
            local = name.rpartition(":")[2]
            if len(self._names) < 10_000:
                self._names[name] = local
        return local

    def _refuse(self, *_: object) -> int:
        raise ImageReadError(self.where, "XML with a document type or entities is refused")


def local_name(element: Element) -> str:
    """An element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def fields(element: Element) -> dict[str, str]:
    """Texts of an element's children by local name; of repeated ones the last."""
    return {local_name(child): child.text.strip() for child in element if child.text}


def attributes(element: Element) -> dict[str, str]:
    """An element's attributes by local name."""
    return {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
