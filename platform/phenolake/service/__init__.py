"""Read-only HTTP service over a lake: tables as Arrow or JSON, images as PNG; and its client."""
