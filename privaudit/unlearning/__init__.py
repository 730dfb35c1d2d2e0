"""Unlearning: methods that change a model, and the sequence in which samples are handed to them."""
