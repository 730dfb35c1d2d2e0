"""What is handed to other tools, as JSON."""
