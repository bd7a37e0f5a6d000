"""Hardware descriptions: tracing a network to logic, writing it, and what later stages know of a written project."""
