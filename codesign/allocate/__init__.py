"""Stage 3: bits for every weight and activation tensor, under a budget."""
