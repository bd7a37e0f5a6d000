"""What a trigger system loads, made of a finished build; one format per file."""
