"""The inversion stage of an audit: whom to invert, the jobs, and what they found."""
