"""Gradient inversion: how much of a training sample its own gradient gives away."""
