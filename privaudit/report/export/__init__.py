"""What is handed to other tools: an attestation, and a section of a model card."""
