"""Stage 7: proof that every representation gives the same integers."""
