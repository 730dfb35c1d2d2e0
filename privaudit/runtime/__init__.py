"""Ground floor: files, links, scratch space, registries, random streams, progress, and running a user's code."""
