"""What counts of an attack say about a claimed ε."""
