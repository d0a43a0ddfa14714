"""Take over tables and masks that other programs made; `import_source` does all of it."""

from phenolake.importing.land import Imported, import_source
from phenolake.importing.sources import KINDS, detect_kinds

__all__ = ["KINDS", "Imported", "detect_kinds", "import_source"]
