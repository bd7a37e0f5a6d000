"""Cost models: one file each, with units and source."""
