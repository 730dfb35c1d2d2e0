"""Risk of people who have several records: their records combined."""
