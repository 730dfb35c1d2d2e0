"""The stage that reconstructs classes: whether, from which models, and what is written."""
