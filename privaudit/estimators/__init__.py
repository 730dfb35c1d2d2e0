"""Estimators of scikit-learn's kind as shadow models: fitted to rows of features, asked for probabilities."""
