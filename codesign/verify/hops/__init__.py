"""Running the representations of a network, each against the integers of another."""
