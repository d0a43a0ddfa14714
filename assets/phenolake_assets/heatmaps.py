"""A value of every well as a picture in a run's metadata."""

import dagster as dg
import polars as pl

from phenolake.pictures import as_markdown, plate_heatmap


def well_heatmap(
    wells: pl.DataFrame, value: str, *, plate: str, words: str, unit: str = ""
) -> dg.MarkdownMetadataValue:
    """The heatmap of a plate, or a line that there is none: a plate may have lost every site."""
    if wells.is_empty():
        return dg.MetadataValue.md(f"{words}: no wells")
    return dg.MetadataValue.md(
        as_markdown(plate_heatmap(wells, value, title=plate, unit=unit), words)
    )
