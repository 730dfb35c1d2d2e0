"""Where datasets come from: one file per format, and `load`, which finds the one that is meant."""
