"""Pure statistics over arrays: no state, no files, no torch."""
