"""`privaudit purge`: what is removed, cut and left, planned and then done."""
