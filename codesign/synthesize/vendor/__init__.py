"""Projects for vendors' tools, which are run here or elsewhere."""
