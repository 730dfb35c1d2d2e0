"""Engines run many independent jobs: here on one machine."""
