"""Stage 10: what people and other programs read about a build."""
