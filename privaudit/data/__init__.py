"""What is trained on: datasets as arrays in memory, checked and fingerprinted."""

from privaudit.data.dataset import Dataset
from privaudit.data.locate import load_dataset

__all__ = ["Dataset", "load_dataset"]
