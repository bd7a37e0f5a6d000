"""Stage 9: what people and other programs read about a build."""
