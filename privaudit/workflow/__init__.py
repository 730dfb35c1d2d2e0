"""Whole commands: plan, train, score, unlearn, report."""
