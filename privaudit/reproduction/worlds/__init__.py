"""Worlds to try the rules in, before any run: one in which the paper is right, one with nothing to find."""
