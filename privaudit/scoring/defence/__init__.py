"""Measures against leakage, held against each other."""
