"""What an audit is and what it found: its description, its trainings, its scores, its inversions."""
