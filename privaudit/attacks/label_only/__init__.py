"""Attacks on models that release a class and nothing else, by questions about altered inputs."""
