"""Parts of a lake in the formats of other programs: tables, images, masks, bundles."""
