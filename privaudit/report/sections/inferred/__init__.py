"""The sections on what was inferred besides membership."""
