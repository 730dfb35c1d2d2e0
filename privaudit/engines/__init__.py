"""Engines run many independent jobs: on this machine's processes, or on a Ray cluster."""
