"""Stage 6: firmware source."""
