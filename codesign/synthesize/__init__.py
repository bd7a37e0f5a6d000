"""Stage 9: what the firmware source takes on a chip, by tools that anyone can have."""
