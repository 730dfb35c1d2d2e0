"""Sensitive columns of a table: what is tried in their place, what models say of it, and what that gives away."""
