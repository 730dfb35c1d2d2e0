"""Sentences about what was inferred besides membership: in the terminal, in the brief and in the annex alike."""
