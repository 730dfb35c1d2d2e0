"""Attacks on one model that need few or no shadow models: arrays in, scores out; higher means member."""
