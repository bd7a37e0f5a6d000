"""codesign: a hardware co-design compiler for trained neural networks."""
