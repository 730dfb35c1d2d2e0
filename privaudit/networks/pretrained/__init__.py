"""Networks of timm and transformers that were trained before: all of one trained, or its head alone."""
