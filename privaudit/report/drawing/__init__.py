"""Figures as SVG, and the table behind each."""
