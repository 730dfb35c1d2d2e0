"""Inversion where the attacker sees less than one sample's gradient: batches, federated averaging, defences."""
