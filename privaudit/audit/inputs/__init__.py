"""What users bring to an audit: their samples, read, and the code and weights that are trained, found again."""
