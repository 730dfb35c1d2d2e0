"""What is trained on: datasets as arrays in memory, checked and fingerprinted."""

from privaudit.data.dataset import Dataset
from privaudit.data.formats.load import default_folder, load_dataset
from privaudit.data.sampling import Limits

__all__ = ["Dataset", "Limits", "default_folder", "load_dataset"]
