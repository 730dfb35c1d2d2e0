"""Measures of what unlearning did."""
