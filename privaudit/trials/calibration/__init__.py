"""Which method `--method auto` takes: tried on held-out forget sets of the same kind, once per audit and kind."""
