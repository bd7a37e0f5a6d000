"""Makers of whole fronts of jet taggers, each given the same data, time and core."""
