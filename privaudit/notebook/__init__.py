"""What `score` and `unlearn` return in Python: results, their tables and pictures, and how a notebook shows them."""
