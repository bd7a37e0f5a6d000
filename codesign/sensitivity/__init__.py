"""Stage 2: how much the loss moves when a tensor is perturbed."""
