"""What hardware is made of: products, sums and how they may be done."""
