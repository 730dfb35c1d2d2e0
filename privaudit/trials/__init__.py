"""Trials: treatments of one model and one forget set, run, judged and compared over seeds."""
