"""From signals to scores: how well attacks do, one row of risk per sample, and how far to trust the ranking."""
