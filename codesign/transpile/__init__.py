"""Stage 7: firmware source."""
