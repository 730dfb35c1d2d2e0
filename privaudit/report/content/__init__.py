"""What a report is made of: its elements, and the wording of what it says."""
