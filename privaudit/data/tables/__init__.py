"""Tables of rows and columns, turned into features, labels and class names."""
