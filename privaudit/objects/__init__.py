"""What is given in Python, as an object: held by a name while the process lives, known by its content, never stored."""
