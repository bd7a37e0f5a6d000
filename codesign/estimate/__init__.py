"""Stage 6: what firmware will take, before any is made."""
