"""Whether a reconstructed class is nearer to what a model saw than to what it did not see."""
