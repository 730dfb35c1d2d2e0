"""The report: one model of it, two renderings. Imports no torch."""
