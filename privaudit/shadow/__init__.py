"""Shadow models: who saw what, the training of many, and where they are kept."""
