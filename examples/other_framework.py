"""Models trained elsewhere: python examples/other_framework.py, then privaudit score --signals models.npz"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

inputs, labels = load_digits(return_X_y=True)
inputs, labels = inputs[:300], labels[:300]
random = np.random.default_rng(0)
logits, keep = [], []
for _ in range(8):  # eight pairs of models, one on either half of the samples
    half = random.permutation(300) < 150
    for seen in (half, ~half):
        model = LogisticRegression(C=1e4, max_iter=2000).fit(inputs[seen], labels[seen])
        logits.append(model.decision_function(inputs))
        keep.append(seen)
np.savez("models.npz", logits=np.array(logits), keep=np.array(keep), labels=labels)
