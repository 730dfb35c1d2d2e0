"""`privaudit unlearn`, from the request to the run that is judged and stored."""
