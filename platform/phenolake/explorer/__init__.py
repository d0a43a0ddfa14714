"""Read-only web pages to look at screens, plates, wells, cells, curves and maps."""
