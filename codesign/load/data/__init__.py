"""Arrays as a `Dataset`: checked, split and normalized, wherever they come from."""
