"""Measures of what unlearning did, from figures, answers or one model: nothing stored is read."""
