"""The command line: the process, its streams and its exit."""
