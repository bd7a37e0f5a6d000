"""Bundles: one archive with all that a build gave, that can be checked with nothing else."""
