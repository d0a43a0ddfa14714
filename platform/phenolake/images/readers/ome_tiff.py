"""Reader for OME-TIFF: one or several series per file, and sets of files that one document describes.

The well comes from the OME plate element, or from a name where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from xml.etree.ElementTree import Element

from phenolake.errors import ImageReadError, WellNameError
from phenolake.images.pixels import read_facts
from phenolake.images.planes import Plane, Problem
from phenolake.images.readers.base import Detection, Reader, files_below, image_files
from phenolake.images.readers.ome_documents import pages, plate_format
from phenolake.images.readers.references import Folder, missing
from phenolake.images.readers.xml_documents import local_name, parse_xml, read_xml


class OmeTiff(Reader):
    """Planes of OME-TIFF files; a document that names other files speaks for them too."""

    name = "ome_tiff"

    def detect(self, folder: Path) -> Detection | None:
        """Look for OME-XML in up to 20 files."""
        sample = list(islice(_tiffs(folder), 20))
        if not sample:
            return None
        share = sum(ome_xml(path) is not None for path in sample) / len(sample)
        if share == 0:
            return None
        return Detection(self.name, share, "files carry OME-XML")

    def plate_wells(self, folder: Path) -> int | None:
        """Wells by the plate element of the first document."""
        first = next(_companions(folder), None) or next(_tiffs(folder), None)
        root = None if first is None else ome_xml(first)
        return None if root is None else plate_format(root)

    def planes(self, folder: Path) -> Iterator[Plane | Problem]:
        """List the planes of every file; a file that can't be placed on the plate is a problem."""
        told: set[Path] = set()
        for path in (*_companions(folder), *_tiffs(folder)):
            if path not in told:
                yield from _planes_of_file(path, path.relative_to(folder).as_posix(), told)


def ome_xml(path: Path) -> Element | None:
    """The root of a file's OME-XML, or None where there is none or it can't be parsed."""
    try:
        if path.suffix.lower() not in (".tif", ".tiff"):
            return read_xml(path)
        text = read_facts(path).description
        if "<OME" not in text and ":OME" not in text:
            return None
        return parse_xml(text.encode(), str(path))
    except (ImageReadError, OSError):
        return None


def _tiffs(folder: Path) -> Iterator[Path]:
    return (path for path in image_files(folder) if path.suffix.lower() in (".tif", ".tiff"))


def _companions(folder: Path) -> Iterator[Path]:
    """Documents that lie beside their images."""
    return files_below(
        folder, lambda path: path.name.lower().endswith((".companion.ome", ".ome.xml"))
    )


def _pages_in(path: Path) -> int:
    """Pages of a TIFF file; none for a document beside its images."""
    return read_facts(path).header.pages if path.suffix.lower() in (".tif", ".tiff") else 0


def _planes_of_file(path: Path, name: str, told: set[Path]) -> Iterator[Plane | Problem]:
    files = Folder(path.parent)
    absent: set[str] = set()
    try:
        root = ome_xml(path)
        if root is None:
            # The header says why a file can't be read better than the lack of XML does.
            read_facts(path)
            raise ImageReadError(str(path), "no OME-XML in the file")
        if any(local_name(e) == "BinaryOnly" for e in root):
            if not told:
                raise ImageReadError(
                    str(path), "its OME-XML lies in a companion file that is absent"
                )
            return
        described: set[Path] = set()
        own_pages = _pages_in(path)
        for page in pages(root, path, name):
            found = path if page.file is None or page.file == path.name else files.find(page.file)
            if isinstance(found, str):
                if page.file not in absent:
                    absent.add(str(page.file))
                    place = {
                        "well": page.plane.well.name,
                        "site": page.plane.site,
                        "channel": page.plane.channel,
                    }
                    yield missing(str(page.file), found, path.parent, **place)
            elif found == path and page.plane.index_in_file >= own_pages:
                raise ValueError(
                    f"the OME-XML describes page {page.plane.index_in_file}, there are {own_pages}"
                )
            elif found not in told:
                described.add(found)
                yield page.plane if found == path else replace(page.plane, path=found)
        told |= described
    except (ImageReadError, WellNameError, ValueError, KeyError, OverflowError) as error:
        reason = error.reason if isinstance(error, ImageReadError) else str(error)
        yield Problem(
            "unreadable_image",
            "Export the file again, or move it out of the plate's folder.",
            uri=str(path),
            expected="OME-TIFF with a well",
            got=reason,
        )
