"""A promise of differential privacy in an audit: the training that keeps it, and the canaries that try it."""
