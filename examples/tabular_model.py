"""A table with a target column: privaudit score --dataset examples/tabular_model.py:patients --network mlp"""

from sklearn.datasets import load_breast_cancer


def patients():
    table = load_breast_cancer(as_frame=True).frame
    table["diagnosis"] = table.pop("target").map({0: "malignant", 1: "benign"})
    table["size"] = table["mean radius"].gt(14).map({True: "large", False: "small"})  # words become categories
    return {"train": table, "target": "diagnosis"}  # a fifth is held out; or name a table "test"
