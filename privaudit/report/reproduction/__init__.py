"""The report on what `privaudit reproduce` answered."""
