"""Results of unlearning: a run, its record, its cost, trials, and comparisons of orders."""
