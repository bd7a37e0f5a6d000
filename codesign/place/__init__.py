"""Stage 10: the firmware source placed and routed on a chip, by tools that anyone can have."""
