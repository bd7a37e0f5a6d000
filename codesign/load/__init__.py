"""Stage 1: the trained network and its data become a `Graph` and a `Dataset`."""
