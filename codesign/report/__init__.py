"""Stage 11: what people and other programs read about a build."""
