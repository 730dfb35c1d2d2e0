"""A stored model put to use: found, described, built again, given raw inputs, and exported."""
