"""Stage 8: proof that every representation gives the same integers."""
