"""Guesses of a sensitive column: with a model's answers, without them, and what membership adds."""
