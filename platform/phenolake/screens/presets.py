"""Assay presets: which channels an assay has, what each shows, and what is measured first.

A preset is plain data; `screen.yaml` can override every field.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Preset:
    """Defaults of one assay. Channel roles are names such as DNA; assets never name a stain."""

    name: str
    description: str
    roles: tuple[str, ...]
    nuclei_channel: str
    cell_channel: str | None
    readouts: tuple[str, ...] = ("Metadata_CellCount",)
    #: profile columns that dose-response curves are fitted to besides the readouts
    curves: tuple[str, ...] = ()
    #: what is measured of every cell, as `phenolake.features.measure` takes it
    features: str = "standard"
    #: words in a channel's acquired name -> role, compared without case
    synonyms: dict[str, str] = field(default_factory=dict)


_DNA_WORDS = {
    "dapi": "DNA",
    "hoechst": "DNA",
    "dna": "DNA",
    "draq": "DNA",
    "nuclei": "DNA",
    "405": "DNA",
}

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "cell_painting",
            "Cell Painting: five channels, cells from the RNA channel",
            roles=("DNA", "ER", "RNA", "AGP", "Mito"),
            nuclei_channel="DNA",
            cell_channel="RNA",
            synonyms={
                **_DNA_WORDS,
                "er": "ER",
                "rna": "RNA",
                "syto": "RNA",
                "agp": "AGP",
                "actin": "AGP",
                "mito": "Mito",
                # Lines and dyes of the published protocol, where a channel is named by them.
                "488 long": "RNA",
                "488long": "RNA",
                "488": "ER",
                "568": "AGP",
                "594": "AGP",
                "647": "Mito",
            },
        ),
        Preset(
            "nuclear_translocation",
            "A GFP-tagged protein that moves between cytoplasm and nucleus",
            roles=("DNA", "GFP"),
            nuclei_channel="DNA",
            cell_channel="GFP",
            readouts=("Cells_Translocation_CoreRingRatio_GFP",),
            curves=("Cells_Translocation_NucleiCytoplasmRatio_GFP",),
            synonyms={**_DNA_WORDS, "gfp": "GFP", "fitc": "GFP", "488": "GFP"},
        ),
        Preset(
            "four_channel_cytotoxicity",
            "Nuclei, two antibody stains and actin: the panel of the published CNN study",
            roles=("Hoechst", "Alexa488", "TRITC", "Alexa647"),
            nuclei_channel="Hoechst",
            cell_channel="TRITC",
            features="cytotoxicity_42",
            synonyms={
                "dapi": "Hoechst",
                "405": "Hoechst",
                "hoechst": "Hoechst",
                "488": "Alexa488",
                "tritc": "TRITC",
                "phalloidin": "TRITC",
                "647": "Alexa647",
                "cy5": "Alexa647",
            },
        ),
        Preset(
            "nuclei_only",
            "One DNA channel",
            roles=("DNA",),
            nuclei_channel="DNA",
            cell_channel=None,
            synonyms=_DNA_WORDS,
        ),
    )
}
