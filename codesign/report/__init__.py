"""Stage 8: what people and other programs read about a build."""
