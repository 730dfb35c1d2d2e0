"""`privaudit quick`: one model attacked in seconds, with few or no shadow models."""
