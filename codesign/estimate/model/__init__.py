"""The fitted model of the Verilog: its terms, its coefficients, and what it says of a network."""
