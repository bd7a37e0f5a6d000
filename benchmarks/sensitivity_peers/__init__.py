"""What ``benchmarks/sensitivity.py`` compares: networks, ways to get their traces, and how they are measured."""
