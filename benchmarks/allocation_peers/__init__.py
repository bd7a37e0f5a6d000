"""What ``benchmarks/allocation.py`` compares: random problems, and the ways to solve them."""
