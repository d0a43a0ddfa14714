"""From image files to the catalogue, corrected pixels and image quality."""
