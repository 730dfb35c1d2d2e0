"""What a class looks like to a model: gradient ascent on its probability under a stated prior."""
