"""What commands find out, typed: one model for each file of results, written and read in one place."""
