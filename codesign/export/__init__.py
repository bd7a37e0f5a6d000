"""Stage 5: the integer network in an exchange format."""
