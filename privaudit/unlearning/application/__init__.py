"""A method applied to stored models: the target's, a shadow model's, and models retrained beside them."""
