"""Training with differential privacy: what is promised, and how each step keeps it."""
