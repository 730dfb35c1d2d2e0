"""What an owner declares, and what an attack means for people."""
