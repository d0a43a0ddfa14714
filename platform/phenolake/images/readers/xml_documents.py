"""Read XML that came with images: no document types, no entities, bounded memory.

Small documents go through defusedxml; long indexes are streamed by the C parser, after the same
rule (no `<!DOCTYPE`) has been applied to their text.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast
from xml.etree.ElementTree import XML, Element, ParseError, XMLPullParser

from phenolake.errors import ImageReadError

#: Largest document that is read whole, and longest stretch of a streamed one without an element.
MAX_DOCUMENT = 64 * 1024**2
MAX_SILENCE = 16 * 1024**2
MAX_STREAMED = 4 * 1024**3
MAX_NESTING = 64

_CHUNK = 1 << 20
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


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


def parse_description(text: str) -> Element:
    """The root of the short document in one image's header, by the C parser: there are many.

    Raises
    ------
    ImageReadError
        As `parse_xml`.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ImageReadError("description", "XML with a document type or entities is refused")
    try:
        return XML(text)
    except (ParseError, ValueError) as error:
        raise ImageReadError("description", f"not readable as XML: {error}") from error


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


def stream_elements(path: Path, wanted: frozenset[str]) -> Iterator[Element]:
    """Every outermost element whose local name is wanted, in order; each is forgotten after use.

    Raises
    ------
    ImageReadError
        If the file can't be read, is not well-formed (also when only its end is missing),
        declares a document type, or nests too deep. Elements before the fault have been yielded.
    """
    parser = XMLPullParser(events=("start", "end"))
    open_elements: list[Element] = []
    inside, silence = 0, 0
    try:
        for text in _text_of(path):
            parser.feed(text)
            silence += len(text)
            for event, element in _events(parser):
                silence = 0
                name = local_name(element)
                if event == "start":
                    open_elements.append(element)
                    inside += name in wanted
                    if len(open_elements) > MAX_NESTING:
                        raise ImageReadError(str(path), f"elements nest deeper than {MAX_NESTING}")
                    continue
                open_elements.pop()
                if name in wanted:
                    inside -= 1
                    if not inside:
                        yield element
                if not inside and open_elements:
                    open_elements[-1].remove(element)
            if silence > MAX_SILENCE:
                raise ImageReadError(str(path), f"no element within {MAX_SILENCE:,} characters")
        parser.close()
    except ParseError as error:
        raise ImageReadError(str(path), f"not readable as XML: {error}") from error
    except (OSError, UnicodeError) as error:
        raise ImageReadError(str(path), f"not readable: {error}") from error


def _events(parser: XMLPullParser) -> Iterator[tuple[str, Element]]:
    """What the parser met, typed: only starts and ends of elements were asked for."""
    return cast("Iterator[tuple[str, Element]]", parser.read_events())


def _text_of(path: Path) -> Iterator[str]:
    """The file's text in chunks, without a document type declaration."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(path, flags), "rb") as file:  # noqa: PTH123  (opened without following links)
        if os.fstat(file.fileno()).st_size > MAX_STREAMED:
            raise ImageReadError(str(path), "an XML file of more than 4 GiB")
        head = file.read(4)
        file.seek(0)
        encoding = next((name for mark, name in _MARKS.items() if head.startswith(mark)), "utf-8")
        decoder = codecs.getincrementaldecoder(encoding)()
        before = ""
        while True:
            chunk = file.read(_CHUNK)
            text = decoder.decode(chunk, final=not chunk)
            if "<!DOCTYPE" in before + text or "<!ENTITY" in before + text:
                raise ImageReadError(str(path), "XML with a document type or entities is refused")
            before = text[-9:] if len(text) >= 9 else (before + text)[-9:]
            if text:
                yield text
            if not chunk:
                return


def local_name(element: Element) -> str:
    """An element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def fields(element: Element) -> dict[str, str]:
    """Texts of an element's children by local name; of repeated ones the last."""
    return {local_name(child): child.text.strip() for child in element if child.text}


def attributes(element: Element) -> dict[str, str]:
    """An element's attributes by local name."""
    return {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
