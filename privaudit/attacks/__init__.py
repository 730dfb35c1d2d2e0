"""Attacks: arrays in, scores out. A higher score always means "member"."""
