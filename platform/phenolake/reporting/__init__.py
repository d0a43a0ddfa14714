"""A screen as one file to send: what was done, quality, hits, curves, pictures, versions."""
