"""Signals of models that were trained elsewhere: the file, its kind, its design. No torch."""
