"""A promise of differential privacy, held against canaries."""
