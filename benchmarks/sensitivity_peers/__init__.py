"""What ``benchmarks/sensitivity.py`` compares: the networks, the ways to get their traces, and how they are measured."""
